import type { About, Detail, Found, Row, Target } from '../../schemas/inspector.ts'
import { byId, make, reconcile, say } from './dom.ts'
import { bytes, count, duration } from './format.ts'
import { keyOf } from './session-list.ts'

/** Does something to a session by hand; resolves to false if it is gone. */
export interface Deeds {
  close: (target: Target) => Promise<boolean>
  slow: (target: Target, paceMs: number) => Promise<boolean>
}

/** One session, looked at closely. */
export class SessionDetail {
  #target: Target | null = null
  readonly #panel = byId('detail')
  readonly #said = byId('deed-said')
  readonly #sure = byId('close-sure')
  readonly #ask = byId('close-ask')
  readonly #pace = byId<HTMLSelectElement>('pace')
  /** Whether the pace of the session was shown since it was chosen. */
  #isPaceShown = false

  constructor (deeds: Deeds, onLeave: () => void) {
    byId('leave').addEventListener('click', onLeave)
    this.#panel.addEventListener('keydown', ({ key }) => { if (key === 'Escape') onLeave() })
    this.#ask.addEventListener('click', () => { this.#askClose(true) })
    byId('close-no').addEventListener('click', () => { this.#askClose(false) })
    byId('close-yes').addEventListener('click', () => {
      this.#askClose(false)
      this.#do('It closes.', (target) => deeds.close(target))
    })
    byId('set-pace').addEventListener('click', () => {
      const paceMs = Number(this.#pace.value)
      this.#do(paceMs === 0 ? 'It is as fast as before.' : 'It is slowed.', (target) => deeds.slow(target, paceMs))
    })
  }

  get target (): Target | null { return this.#target }

  begin ({ close, slow }: Pick<About, 'close' | 'slow'>): void {
    byId('deeds').hidden = !close && !slow
    byId('close').hidden = !close
    byId('slow').hidden = !slow
  }

  open ({ node, key, session }: Row): void {
    this.#target = { node, key }
    this.#isPaceShown = false
    say(byId('detail-title'), `Session ${session}`)
    say(this.#said, '')
    this.#askClose(false, false)
    byId('gone').hidden = true
    byId('found').hidden = true
    this.#panel.hidden = false
    byId('detail-title').focus()
  }

  leave (): void {
    this.#target = null
    this.#panel.hidden = true
  }

  #askClose (isAsking: boolean, takesFocus = true): void {
    this.#sure.hidden = !isAsking
    this.#ask.hidden = isAsking
    if (takesFocus) (isAsking ? byId('close-no') : this.#ask).focus()
  }

  #do (done: string, deed: (target: Target) => Promise<boolean>): void {
    const target = this.#target
    if (target === null) return
    deed(target).then((isDone) => isDone ? done : 'The session is gone, or its node does not allow this.', (error: Error) => `It did not work: ${error.message}`)
      .then((text) => { say(this.#said, text) })
  }

  show (detail: Detail): void {
    const { found } = detail
    if (this.#target === null || keyOf(detail) !== keyOf(this.#target)) return
    byId('gone').hidden = found !== null
    byId('found').hidden = found === null
    if (found === null) return
    if (!this.#isPaceShown) this.#showPace(found.row.paceMs)
    this.#showFacts(found)
    this.#showZones(found)
    this.#showStreams(found)
    this.#showCommands(found)
  }

  #showPace (paceMs: number): void {
    this.#isPaceShown = true
    const known = [...this.#pace.options].map(({ value }) => Number(value))
    this.#pace.value = String(known.includes(paceMs) ? paceMs : 0)
  }

  #showFacts ({ row, groups, topics, stream, ...figures }: Found): void {
    const facts: Array<[string, string]> = [
      ['URL', row.url],
      ...row.node === '' ? [] : [['Node', row.node] as [string, string]],
      ['State', row.state],
      ['Age', duration(row.ageMs)],
      ['Stream', stream === null ? 'none' : `${stream.transport}, open for ${duration(stream.openMs)}${stream.encoding === null ? '' : `, ${stream.encoding}`}`],
      ['Write buffer', stream === null ? '–' : `${stream.writeBuffer} updates, ${stream.isFull ? 'the connection is full' : 'has room'}`],
      ['Stall', row.stalledMs > 0 ? `for ${duration(row.stalledMs)}` : 'none'],
      ['Stalls so far', `${count(figures.stalls)}, ${duration(figures.stalledMs)} in all`],
      ['Pace', row.paceMs === 0 ? 'none by hand' : `a write in ${duration(row.paceMs)}, by hand`],
      ['Updates', `${count(figures.updates)} written, ${count(figures.conflated)} conflated, ${count(figures.dropped)} dropped`],
      ['Bytes', bytes(figures.bytes)],
      ['Events', `${count(figures.events)} accepted${figures.acceptedSeq === 0 ? '' : `, up to number ${count(figures.acceptedSeq)}`}`],
      ['Errors', count(figures.errors)],
      ['Groups', listed(groups)],
      ['Topics', listed(topics)]
    ]
    const list = byId('facts')
    for (const [index, [term, text]] of facts.entries()) {
      const [name, value] = [list.children[2 * index] ?? list.appendChild(make('dt')), list.children[2 * index + 1] ?? list.appendChild(make('dd'))]
      say(name, term)
      say(value, text)
    }
    while (list.children.length > 2 * facts.length) list.lastElementChild!.remove()
  }

  #showZones ({ outbox }: Found): void {
    const { first, next, written, replaying, waiting, heldBytes, waitingBytes, queueFrames, replayFrames } = outbox
    const zones: Array<[string, number, string]> = [
      ['written', written, `${count(written)} written, of at most ${count(replayFrames)} kept`],
      ['replaying', replaying, `${count(replaying)} replaying`],
      ['waiting', waiting, `${count(waiting)} waiting (${bytes(waitingBytes)}), of at most ${count(queueFrames)}`]
    ]
    const all = written + replaying + waiting
    const bounds = all === 0 ? `empty; the next is number ${count(next)}` : `numbers ${count(first)} to ${count(next - 1)}, ${bytes(heldBytes)}`
    byId('zones').setAttribute('aria-label', `Outbox: ${zones.map(([, , text]) => text).join('; ')}; ${bounds}`)
    reconcile(byId('zones'), zones, ([name]) => name, ([name]) => make('span', name), (span, [, size]) => { span.style.flexGrow = String(size) })
    reconcile(byId('legend'), [...zones, ['all', all, bounds] as [string, number, string]], ([name]) => name, ([name]) => make('li', name), (item, [, , text]) => { say(item, text) })
  }

  #showStreams ({ stream, streams }: Found): void {
    const lines = streams.map(({ transport, verdict, agoMs }) => `${duration(agoMs)} ago: ${verdict}, ${transport}`)
    // Streams that opened before this page did are not remembered; the present one is known.
    if (lines.length === 0 && stream !== null) lines.push(`${duration(stream.openMs)} ago: ${stream.verdict ?? 'no verdict'}, ${stream.transport}`)
    if (lines.length === 0) lines.push('None since this page was opened.')
    reconcile(byId('streams'), lines.map((text, index) => ({ text, index })), ({ index }) => String(index), () => make('li'), (item, { text }) => { say(item, text) })
  }

  #showCommands ({ commands, running, row }: Found): void {
    const waits = `${count(row.commands)} ${row.commands === 1 ? 'waits' : 'wait'}`
    say(byId('running'), running === null ? `None runs, ${waits}.` : `${running.name} runs since ${duration(running.ms)}, ${waits}.`)
    byId('no-commands').hidden = commands.length > 0
    byId('some-commands').hidden = commands.length === 0
    reconcile(byId('commands'), commands, ({ number }) => String(number), () => {
      const line = make('tr')
      for (let index = 0; index < 6; index++) line.append(make('td', index >= 2 && index <= 4 ? 'number' : ''))
      return line
    }, (line, { name, kind, agoMs, waitedMs, ms, outcome }) => {
      const texts = [name, kind, duration(agoMs), waitedMs === null ? '–' : duration(waitedMs), duration(ms), outcome]
      texts.forEach((text, index) => { say(line.children[index]!, text) })
      line.lastElementChild!.className = outcome === 'ok' ? '' : 'bad'
    })
  }
}

function listed ({ first, count: all }: Found['groups']): string {
  if (all === 0) return 'none'
  return first.join(', ') + (all > first.length ? ` and ${count(all - first.length)} more` : '')
}
