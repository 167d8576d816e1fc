import type { Outcome, Seen } from '../../chaos/nodes/page.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { Connection } from './connection.ts'
import type { PostAnswer, SimulatedNode, StreamAnswer } from './node.ts'
import type { World } from './world.ts'

const answerWithinMs = 2_000
const { maxBatch } = defaults.stateful

interface Envelope { readonly event: string, readonly data: object, readonly seq: number }

/** One page: it keeps a stream open, and sends each event until it knows what became of it. Any node serves any of its requests. */
export class SimulatedPage {
  readonly number: number
  readonly seen: Seen[] = []
  readonly outcomes = new Map<number, Outcome>()
  /** Requests that got their reply. */
  readonly replies = new Set<number>()
  readonly #world: World
  readonly #random: () => number
  /** Whether it counts updates itself. Otherwise it reads exact ids. */
  readonly #counts: boolean
  session: string | null = null
  /** Sessions that it had. */
  readonly sessions: string[] = []
  connection: Connection | null = null
  #lastId: string | null = null
  #counted = 0
  #acts = 0
  #isSending = false
  #seq = 0
  /** The last event that the session has accepted, as far as the page knows; and those that may not survive a crash. */
  #accepted = 0
  /** The same when the page asked for its stream. A hello is from then, at the earliest. */
  #acceptedBefore = 0
  #kept: Envelope[] = []
  #text = ''
  isClosed = false
  isGoing = false
  #awakeAt = 0
  /** The session that has accepted its goodbye. */
  ended: string | null = null

  constructor (world: World, number: number, random: () => number) {
    this.#world = world
    this.number = number
    this.#random = random
    this.#counts = random() < 0.5
    this.#read()
  }

  get events (): number { return this.#acts }
  get waiting (): number { return this.#acts - this.outcomes.size }
  /** Whether its stream is open, as far as it knows. */
  get isOpen (): boolean { return this.connection !== null && this.#hasHello }
  #hasHello = false

  act (count: number): void {
    this.#acts += count
    this.#send()
  }

  close (): void {
    this.isClosed = true
    this.connection?.cut(1)
  }

  /** Its machine sleeps: it asks nobody for a time. */
  sleep (ms: number): void {
    this.#awakeAt = this.#world.time.now + ms
    this.connection?.cut(ms)
  }

  async #awake (): Promise<void> {
    const { time } = this.#world
    while (time.now < this.#awakeAt) await time.wait(this.#awakeAt - time.now + 1)
  }

  // Down

  async #read (): Promise<void> {
    const { time } = this.#world
    while (!this.isClosed) {
      await this.#awake()
      const node = this.isClosed ? null : this.#world.pickNode()
      if (node !== null) await this.#stream(node)
      if (!this.isClosed) await time.wait(5 + this.#random() * 60)
    }
  }

  #stream (node: SimulatedNode): Promise<void> {
    const { time, trace } = this.#world
    return new Promise((resolve) => {
      this.#text = ''
      this.#hasHello = false
      const end = (why: string) => {
        if (this.connection !== connection) return
        trace(`page ${this.number}: stream at ${node.process.name} ends, ${why}`)
        this.connection = null
        this.#hasHello = false
        node.connections.delete(connection)
        resolve()
      }
      const connection: Connection = new Connection(time, node.process, {
        receive: (text) => { if (this.connection === connection) this.#take(text) },
        ended: () => { end('closed') }
      }, () => this.#world.wire())
      this.connection = connection
      node.connections.add(connection)
      let isAnswered = false
      const answer = (given: StreamAnswer) => {
        isAnswered = true
        if (given === 'stream') return
        time.after(this.#world.wire(), () => {
          if (given === 204) this.seen.push({ is: 'gaveUp', why: '204' })
          if (given === 204 && this.ended !== null) this.isClosed = true
          connection.isCut = true
          end(String(given))
        })
      }
      const last = this.#counts ? this.session === null ? null : `${this.session}.${this.#counted}` : this.#lastId
      this.#acceptedBefore = this.#accepted
      trace(`page ${this.number}: GET at ${node.process.name} with ${this.#world.short(last)}`)
      time.after(this.#world.wire(), () => {
        node.get({ header: this.#counts ? this.session ?? 'new' : null, lastEventId: last, hasLeft: () => connection.isCut }, connection, this.#random() < 0.1 ? this.#random() * 50 : 0, answer)
      })
      time.after(answerWithinMs, () => { if (!isAnswered) connection.cut(this.#random() * 100) })
    })
  }

  #take (text: string): void {
    this.#text += text
    for (let end = this.#text.indexOf('\n\n'); end !== -1; end = this.#text.indexOf('\n\n')) {
      const frame = this.#text.slice(0, end)
      this.#text = this.#text.slice(end + 2)
      this.#frame(frame)
    }
  }

  #frame (text: string): void {
    let [name, data, id] = ['message', '', null as string | null]
    for (const line of text.split('\n')) {
      if (line.startsWith('event: ')) name = line.slice(7)
      else if (line.startsWith('data: ')) data = line.slice(6)
      else if (line.startsWith('id: ')) id = line.slice(4)
    }
    if (data === '') return
    if (name === 'tether') return this.#control(JSON.parse(data), id)
    if (id !== null) this.#lastId = id
    this.#counted++
    const seq = this.#counts || id === null ? null : numberOf(id)
    const given = JSON.parse(data)
    if (name === 'own') this.seen.push({ is: 'own', n: given.n, seq })
    else if (name === 'tether.reply') {
      if (given.code !== undefined) this.#world.fault(`page ${this.number}: a request got ${given.code}`)
      else this.replies.add(given.data.k)
      this.seen.push({ is: 'reply', k: given.data?.k, seq })
    } else if (name === 'all') this.seen.push({ is: 'all', from: given.from, n: given.n, seq })
    else this.seen.push({ is: 'snapshot', own: given.own, at: this.#world.time.now, seq })
  }

  #control (control: { type: string, session: string, verdict: string, seq: number, reason: string, accepted?: number, durable?: number }, id: string | null): void {
    const { trace } = this.#world
    switch (control.type) {
      case 'hello':
        trace(`page ${this.number}: hello ${this.#world.short(control.session)} ${control.verdict} ${control.seq}`)
        if (control.session !== this.session) {
          if (this.session !== null) this.#world.sessionIsGone(this, this.session)
          this.#seq = this.#accepted = this.#acceptedBefore = 0
          this.#kept = []
          this.sessions.push(control.session)
        }
        this.session = control.session
        this.#hear(control.accepted ?? 0, control.durable ?? control.accepted ?? 0)
        this.#hasHello = true
        this.#counted = control.seq
        if (id !== null) this.#lastId = id
        if (this.ended !== null) this.close()
        this.seen.push({ is: 'hello', session: control.session, verdict: control.verdict, seq: control.seq })
        this.#send()
        break
      case 'gap':
        trace(`page ${this.number}: gap ${control.seq}`)
        this.#counted = control.seq
        if (id !== null) this.#lastId = id
        this.seen.push({ is: 'gap', seq: control.seq })
        break
      case 'goodbye':
        // A page that comes back does so with the last id that it really had.
        trace(`page ${this.number}: goodbye ${control.reason}`)
        if (control.reason === 'bye') this.isClosed = true
    }
  }

  // Up

  /** What the session has accepted, and what of that survives a crash. */
  #hear (accepted: number, durable: number): void {
    this.#kept = this.#kept.filter(({ seq }) => seq > durable)
    this.#accepted = Math.max(this.#accepted, accepted)
    if (accepted >= this.#acceptedBefore) return
    if (this.#world.mayUndo && this.#kept.some(({ seq }) => seq === accepted + 1)) return
    this.#world.fault(`page ${this.number}: the session has accepted ${accepted} events, where it had ${this.#acceptedBefore}; kept are ${this.#kept.map(({ seq }) => seq).join()}`)
  }

  async #send (): Promise<void> {
    if (this.#isSending) return
    this.#isSending = true
    const { time } = this.#world
    while ((this.waiting > 0 || (this.#kept.length > 0 && !this.isGoing)) && this.session !== null && !this.isClosed) {
      const k = this.outcomes.size + 1
      const { session } = this
      const count = Math.min(this.waiting, this.#random() < 0.3 ? 3 : 1)
      const events = Array.from({ length: count }, (_, index) => ({ event: isRequest(k + index) ? 'ask' : 'act', data: { page: this.number, k: k + index }, seq: this.#seq + 1 + index }))
      this.#seq += count
      let outcome: Outcome['is'] | null = null
      while (outcome === null && !this.isClosed) {
        await this.#awake()
        if (this.isClosed) break
        // What was sent to a session that is gone is not sent to the next one.
        outcome = this.session === session ? await this.#post(session, events) : 'doubt'
        if (outcome === null) await time.wait(10 + this.#random() * 40)
      }
      if (count === 0) await time.wait(50)
      if (outcome !== null) for (let index = 0; index < count; index++) this.outcomes.set(k + index, { is: outcome, session })
    }
    this.#isSending = false
  }

  /** Gives null for an answer that does not settle it. */
  async #post (session: string, events: readonly Envelope[]): Promise<'accepted' | null> {
    // What a crash may have undone comes first. It counts once.
    const isWhole = this.#kept.length + events.length <= maxBatch
    const all = isWhole ? [...this.#kept, ...events] : this.#kept.slice(0, maxBatch)
    const rest = isWhole ? [] : this.#kept.slice(maxBatch)
    const last = all.at(-1)?.seq
    if (last === undefined) return 'accepted'
    const given = await this.#ask(session, all.length === 1 ? all[0] : all)
    if (given === null || this.session !== session) return null
    if (given.status === 202) {
      if (given.seq < last) this.#world.fault(`page ${this.number}: 202 for ${last} says ${given.seq}`)
      this.#accepted = Math.max(this.#accepted, last)
      this.#kept = [...all, ...rest].filter(({ seq }) => seq > given.durable)
      return isWhole ? 'accepted' : null
    }
    if (given.status === 409 && this.#world.mayUndo) return null
    if (given.status === 404 || given.status === 410) this.#world.sessionIsGone(this, session)
    else if (given.status !== 503 && given.status !== 429) this.#world.fault(`page ${this.number}: event ${last} got ${given.status}`)
    return null
  }

  /** Says goodbye, as an event whose handler closes the session. */
  async bye (): Promise<void> {
    this.isGoing = true
    while (!this.isClosed) {
      const { session } = this
      if (session !== null && this.waiting === 0 && !this.#isSending) {
        const given = await this.#ask(session, { event: 'bye', data: {}, seq: this.#seq + 1 })
        if (given?.status === 202 || given?.status === 410) {
          this.ended = session
          return
        }
      }
      await this.#world.time.wait(20)
    }
  }

  #ask (session: string, body: unknown): Promise<PostAnswer | null> {
    const { time, trace } = this.#world
    const node = this.#world.pickNode()
    if (node === null) return Promise.resolve(null)
    // A proxy, or the browser, may send a request twice, and to another node.
    const again = this.#random() < 0.1 ? this.#world.pickNode() : null
    const last = this.#counts ? `${this.session}.${this.#counted}` : this.#lastId
    const lastEventId = session === this.session && last !== null && this.#random() < 0.5 ? last : undefined
    const number = JSON.stringify(body).match(/"seq":\d+/g)?.join()
    trace(`page ${this.number}: POST ${number} at ${node.process.name}${again === null ? '' : ` and ${again.process.name}`}`)
    if (again !== null) time.after(this.#world.wire(), () => { again.post(session, lastEventId, body, () => {}) })
    return new Promise((resolve) => {
      let isOver = false
      const settle = (answer: PostAnswer | null) => {
        if (isOver) return
        isOver = true
        trace(`page ${this.number}: POST ${number} gets ${answer === null ? 'nothing' : `${answer.status} ${answer.seq}`}`)
        resolve(answer)
      }
      time.after(this.#world.wire(), () => {
        node.post(session, lastEventId, body, (answer) => { if (this.#random() > 0.05) time.after(this.#world.wire(), () => { settle(answer) }) })
      })
      time.after(answerWithinMs / 2, () => { settle(null) })
    })
  }
}

/** Whether an event is a request, which has a reply. */
export function isRequest (k: number): boolean {
  return k % 3 === 1
}

function numberOf (id: string): number {
  return Number(id.slice(id.lastIndexOf('.') + 1))
}
