import { element, stripOf, tileOf, write } from './elements.js'

const titles = {
  cpu: 'Processor',
  cores: 'Cores',
  memory: 'Memory',
  network: 'Network',
  disk: 'Disk',
  loop: 'Event loop',
  load: 'Load',
  heap: 'Heap',
  plugin: 'Tether'
}

const meanings = {
  cpu: 'How busy all cores together were over the last second',
  cores: 'How busy each core was over the last second',
  memory: 'Memory in use on this machine',
  network: 'Bytes a second over the network cards and over loopback',
  disk: 'Bytes a second from and to the disks',
  loop: 'How late timers of the server’s event loop are',
  load: 'Processes that run or wait to, on average',
  heap: 'Memory of the server’s own process',
  plugin: 'What fastify-tether counts for all tabs together'
}

// More lines cannot be distinguished at a glance; with more cores the user picks some.
const coresShownAtFirst = 4

/** The controls of this tab, and which strips, tiles and lines they show. */
export class Controls {
  #settings
  #recorder
  /** @type {Set<number>} */
  #shownCores = new Set()
  #cores = 0

  /**
   * @param {import('./settings.js').Settings} settings
   * @param {import('./recorder.js').Recorder} recorder
   */
  constructor (settings, recorder) {
    this.#settings = settings
    this.#recorder = recorder
    const rate = element('rate')
    rate.addEventListener('input', () => this.#showRate(Number(rate.value)))
    rate.addEventListener('change', () => settings.change({ perSecond: Number(rate.value) }))
    element('pause').addEventListener('click', () => settings.change({ paused: !settings.chosen.paused }))
    element('series').addEventListener('change', () => settings.change({ series: this.#boxes.filter((box) => box.checked).map((box) => box.value) }))
  }

  /** Makes the parts that depend on the machine. */
  furnish ({ cores, series }) {
    for (const name of Object.keys(titles).filter((name) => series.includes(name))) {
      const box = document.createElement('input')
      box.type = 'checkbox'
      box.value = name
      const label = document.createElement('label')
      label.append(box, titles[name])
      label.title = meanings[name]
      element('series').append(label)
    }
    this.#cores = cores
    for (let core = 0; core < cores; core++) {
      if (cores <= coresShownAtFirst) this.#shownCores.add(core)
      stripOf('cpu').querySelector('.cores').append(this.#coreButton(core))
    }
  }

  show () {
    const { perSecond, series, paused } = this.#settings.chosen
    element('rate').disabled = element('pause').disabled = false
    this.#showRate(perSecond)
    for (const box of this.#boxes) box.checked = series.includes(box.value)
    write(element('pause'), paused ? 'Resume' : 'Pause')
    if (this.#cores > 0) this.#showPicked(new Set(series))
  }

  get #boxes () {
    return [...element('series').querySelectorAll('input')]
  }

  #showRate (perSecond) {
    element('rate').value = String(perSecond)
    element('rate').style.setProperty('--filled', `${(perSecond - 1) / 99 * 100}%`)
    write(element('rate-value'), String(perSecond))
    element('rate').setAttribute('aria-valuetext', `${perSecond} a second`)
  }

  #showPicked (picked) {
    stripOf('cpu').hidden = !picked.has('cpu') && !picked.has('cores')
    for (const name of ['memory', 'network', 'disk', 'loop']) stripOf(name).hidden = !picked.has(name)
    for (const name of ['load', 'heap']) tileOf(name).hidden = !picked.has(name)
    for (const name of ['sessions', 'updates']) tileOf(name).hidden = !picked.has('plugin')
    element('tiles').hidden = !['load', 'heap', 'plugin'].some((name) => picked.has(name))
    element('blank').hidden = picked.size > 0
    stripOf('cpu').querySelector('.cores').hidden = !picked.has('cores')
    this.#recorder.showLine('cpu', 0, picked.has('cpu'))
    for (let core = 0; core < this.#cores; core++) {
      this.#recorder.showLine('cpu', 1 + core, picked.has('cores') && this.#shownCores.has(core))
    }
  }

  #coreButton (core) {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'core'
    button.textContent = String(core)
    button.dataset.pen = String(core % 6 + 1)
    button.setAttribute('aria-label', `Core ${core}`)
    const show = () => button.setAttribute('aria-pressed', String(this.#shownCores.has(core)))
    show()
    button.addEventListener('click', () => {
      if (!this.#shownCores.delete(core)) this.#shownCores.add(core)
      show()
      this.#recorder.showLine('cpu', 1 + core, this.#shownCores.has(core))
    })
    return button
  }
}
