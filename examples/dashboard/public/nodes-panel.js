import { element, write } from './elements.js'
import { faultOf } from './faults.js'

const idle = 'The picked node is replaced or killed. Replaced, it hands its tabs over, and nothing is lost. Killed, its tabs go on at another node, with a gap.'

/** The nodes that serve the page together, where there are several; and what a person does to them. */
export class NodesPanel {
  #live
  #count
  #topic = /** @type {import('fastify-tether/client').Subscription | null} */ (null)
  /** @type {Array<{ name: string, sessions: number, draining: boolean }>} */
  #nodes = []
  /** Name of the node that has this tab's session. */
  #holder = ''
  /** The node that was picked by hand; null means the one that has this tab's session. */
  #picked = /** @type {string | null} */ (null)
  /** The node that goes, and what to say when it is gone. */
  #going = { name: '', gone: '' }

  /**
   * @param {import('fastify-tether/client').Connection} live
   * @param {() => void} count called for each update
   */
  constructor (live, count) {
    this.#live = live
    this.#count = count
    element('node-list').addEventListener('change', ({ target }) => {
      this.#picked = target.value
      this.#show()
    })
    this.#on('replace', 'node.replace', {
      going: (name) => `A new node starts. Then ${name} hands its tabs over, and ends.`,
      gone: (name) => `${name} was replaced: it has handed over its tabs.`
    })
    this.#on('kill', 'node.kill', {
      going: (name) => `${name} is killed, and another process starts. Its tabs go on at another node, with a gap, as soon as the others take it for dead.`,
      gone: (name) => `${name} was killed: the others take it for dead.`
    })
  }

  /**
   * The server has begun a stream.
   *
   * @param {{ holder?: string }} host
   */
  told ({ holder }) {
    if (holder === undefined) return
    this.#holder = holder
    element('nodes').hidden = false
    if (this.#topic === null) {
      write(element('nodes-status'), idle)
      this.#topic = this.#live.subscribe('nodes')
      this.#topic.on('list', (nodes) => {
        this.#count()
        this.#nodes = nodes
        this.#show()
      })
    }
    this.#show()
  }

  #on (id, event, { going, gone }) {
    element(id).addEventListener('click', async () => {
      const name = element('node-list').querySelector(':checked')?.value
      if (name === undefined) return
      this.#picked = null
      this.#going = { name, gone: gone(shortName(name)) }
      write(element('nodes-status'), going(shortName(name)))
      try {
        await this.#live.emit(event, { name })
      } catch (error) {
        // A node that is killed may take the answer with it.
        if (error.code !== 'TETHER_IN_DOUBT') write(element('nodes-status'), `Not done. ${faultOf(error)}`)
      }
    })
  }

  #show () {
    const has = (wanted) => this.#nodes.some(({ name }) => name === wanted)
    if (!has(this.#picked)) this.#picked = null
    if (this.#going.name !== '' && !has(this.#going.name)) {
      write(element('nodes-status'), this.#going.gone)
      this.#going.name = ''
    }
    const chips = new Map([...element('node-list').children].map((chip) => [chip.dataset.node, chip]))
    for (const node of this.#nodes) {
      const chip = chips.get(node.name) ?? makeChip(node.name)
      chips.delete(node.name)
      const isHolder = node.name === this.#holder
      chip.toggleAttribute('data-holder', isHolder)
      chip.querySelector('input').checked = node.name === (this.#picked ?? this.#holder)
      write(chip.querySelector('.has'), [
        node.sessions === 1 ? '1 session' : `${node.sessions} sessions`,
        ...isHolder ? ['this tab’s among them'] : [],
        ...node.draining ? ['leaving'] : []
      ].join(', '))
    }
    for (const chip of chips.values()) chip.remove()
  }
}

function makeChip (name) {
  const input = document.createElement('input')
  input.type = 'radio'
  input.name = 'node'
  input.value = name
  const has = document.createElement('span')
  has.className = 'has'
  const chip = document.createElement('label')
  chip.dataset.node = name
  chip.title = name
  chip.append(input, shortName(name), has)
  element('node-list').append(chip)
  return chip
}

/** Its machine and the number of its process. */
function shortName (name) {
  return name.slice(0, -13)
}
