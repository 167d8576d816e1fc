import { element, stripOf, tileOf, write } from './elements.js'
import { bytes, count, memory, short } from './format.js'

/**
 * Writes the numbers beside the charts, and the tiles.
 *
 * @param {import('./recorder.js').Recorder} recorder
 * @param {{ memoryBytes: number }} host
 */
export function showReadouts (recorder, host) {
  for (const [name, show] of Object.entries(readouts)) {
    const figures = recorder.at(name)
    if (figures !== null) show(figures, recorder, host)
  }
}

/** @param {import('./recorder.js').Recorder} recorder */
export function showFrameRate (recorder) {
  recorder.frames.add(0)
  write(element('frames-rate'), count(recorder.frames.perSecond))
}

const readouts = {
  cpu ([overall, ...cores]) {
    figure(stripOf('cpu'), 0, overall === null ? '–' : short(overall))
    const known = cores.filter((core) => core !== null)
    note(stripOf('cpu'), known.length > 1 ? `busiest core ${Math.round(Math.max(...known))} %` : '')
    const cells = stripOf('cpu').querySelectorAll('.core')
    cores.forEach((core, index) => {
      const level = Math.round(core ?? 0)
      cells[index]?.style.setProperty('--level', `${level}%`)
      if (cells[index] !== undefined) cells[index].title = `${level} % busy`
    })
  },
  memory ([used], recorder, host) {
    if (used === null) return
    figure(stripOf('memory'), 0, ...memory(used))
    note(stripOf('memory'), `${memory(host.memoryBytes - used).join(' ')} available`)
  },
  network ([received, sent, loopback]) {
    figure(stripOf('network'), 0, ...perSecond(received))
    figure(stripOf('network'), 1, ...perSecond(sent))
    note(stripOf('network'), loopback === null ? '' : `╌ loopback ${perSecond(loopback).join(' ')}`)
  },
  disk ([read, written]) {
    figure(stripOf('disk'), 0, ...perSecond(read))
    figure(stripOf('disk'), 1, ...perSecond(written))
  },
  loop ([median, late], recorder) {
    const busy = recorder.at('utilisation')?.[0] ?? 0
    figure(stripOf('loop'), 0, median === null ? '–' : short(median))
    note(stripOf('loop'), `p99 ${short(late ?? 0)} ms, loop ${Math.round(busy)} % busy`)
  },
  load ([one, five, fifteen]) {
    figure(tileOf('load'), 0, (one ?? 0).toFixed(2), `${(five ?? 0).toFixed(2)} in 5 min, ${(fifteen ?? 0).toFixed(2)} in 15`)
  },
  heap ([heap, resident]) {
    const [value, unit] = memory(heap ?? 0)
    figure(tileOf('heap'), 0, value, `${unit} of ${memory(resident ?? 0).join(' ')} resident`)
  },
  plugin ([sessions, streams, updates]) {
    figure(tileOf('sessions'), 0, count(sessions ?? 0), `${count(streams ?? 0)} with a stream`)
    figure(tileOf('updates'), 0, count(updates ?? 0))
  }
}

function figure (place, index, value, unit) {
  const where = place.querySelectorAll('.figure')[index]
  write(where.querySelector('.value'), value)
  if (unit !== undefined) write(where.querySelector('.unit'), unit)
}

function note (place, text) {
  write(place.querySelector('.note'), text)
}

function perSecond (value) {
  const [amount, unit] = bytes(Math.abs(value ?? 0))
  return [amount, `${unit}/s`]
}
