import { deepStrictEqual, equal } from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import fc from 'fast-check'
import fastify, { type FastifyBaseLogger, type FastifyRequest } from 'fastify'
import t from 'tap'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import tether, { defineContract } from '../../../plugin/index.ts'
import { Acceptance, refusal, type Outcome, type Submission } from '../../../plugin/sessions/acceptance.ts'
import { Endpoint } from '../../../plugin/sessions/endpoint.ts'
import { SessionRegistry } from '../../../plugin/sessions/session-registry.ts'
import { createRuntime } from '../../../plugin/streams/runtime.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { effort } from '../../harness/effort.ts'

const contract = defineContract({ events: { count: Type.Object({ to: Type.Integer() }) }, updates: {} })
const commandBuffer = 4

type Sender = 'one' | 'other' | null

interface Posted {
  readonly to: number
  /** 0 for none. */
  readonly seq: number
}

/** What numbers and the channel's bound come to, as one would tell it. */
class Model {
  accepted = 0
  ran: number[] = []
  running: number | null = null
  waiting: number[] = []
  /** By number: who took it, and in which turn. */
  takers: Array<{ sender: Sender, turn: number }> = []
  turns = 0
  last: Sender = null

  /** Returns the status, and what the body says. */
  post (events: readonly Posted[], sender: Sender): [status: number, body: { seq: number } | { expected: number } | null, known?: number] {
    let accepted = this.accepted
    let skipped = 0
    let known = 0
    const fresh: Posted[] = []
    for (const event of events) {
      if (event.seq > accepted + 1) return [409, { expected: this.accepted + 1 }]
      if (event.seq > 0 && event.seq <= accepted) {
        skipped++
        // Undefined for one that is in the same array twice.
        const taker = this.takers[event.seq] ?? { sender, turn: this.turns }
        if (sender === null || taker.sender !== sender || taker.turn <= this.turns - defaults.fixed.numberTurns) known = skipped
        continue
      }
      if (event.seq > 0) accepted = event.seq
      fresh.push(event)
    }
    if (this.waiting.length + fresh.length > commandBuffer) return [429, null]
    if (accepted > this.accepted) {
      if (this.last !== sender) this.turns++
      this.last = sender
      for (let seq = this.accepted + 1; seq <= accepted; seq++) this.takers[seq] = { sender, turn: this.turns }
    }
    this.accepted = accepted
    this.waiting.push(...fresh.map(({ to }) => to))
    this.run()
    return [202, { seq: accepted }, known]
  }

  /** The handler that runs comes to its end. */
  settle (): void {
    this.running = null
    this.run()
  }

  run (): void {
    if (this.running !== null || this.waiting.length === 0) return
    this.running = this.waiting.shift()!
    this.ran.push(this.running)
  }
}

type Step =
  /** Each number is so far beyond the last accepted; null for none. */
  | { readonly kind: 'post', readonly offsets: ReadonlyArray<number | null>, readonly sender: Sender }
  /** The same once more, or several times at once, as of a client that got no answer; or as of another. */
  | { readonly kind: 'again', readonly times: number, readonly sender: Sender | undefined }
  | { readonly kind: 'settle' }

const offset = fc.oneof({ arbitrary: fc.integer({ min: -3, max: 3 }), weight: 2 }, { arbitrary: fc.constant(null), weight: 1 })
const sender = fc.constantFrom<Sender[]>('one', 'one', 'other', null)
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('post' as const), offsets: fc.array(offset, { minLength: 1, maxLength: 4 }), sender }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('post' as const), offsets: fc.constantFrom([1], [1, 2], [1, 2, 3], [0, 1], [-1, 0, 1, 2]), sender }), weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant('again' as const), times: fc.integer({ min: 1, max: 3 }), sender: fc.option(sender, { freq: 1, nil: undefined }) }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('settle' as const) }), weight: 4 }
)

t.test('numbers, batches, retries and a full channel: as the model has it', async (t) => {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(tether, { maxPending: 1_000, pendingMs: 600_000 })
  const ran = new Map<string, number[]>()
  const settles = new Map<string, () => void>()
  const live = app.tether.stateful('/live', {
    contract,
    commandBuffer,
    on: {
      count: (session, { to }) => {
        ran.get(session.id)!.push(to)
        return new Promise<void>((resolve) => { settles.set(session.id, resolve) })
      }
    }
  })
  app.get('/page', async (request) => live.get((await live.prepare(request))!)!.id)
  await app.ready()
  const seen: Record<number, number> = { 202: 0, 409: 0, 429: 0 }

  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
    const { body: id } = await app.inject('/page')
    ran.set(id, [])
    const model = new Model()
    let to = 0
    let last: Posted[] = [{ to: 0, seq: 1 }]
    let by: Sender = null

    const post = async (events: Posted[]) => {
      const envelopes = events.map(({ to, seq }) => ({ event: 'count', data: { to }, ...seq === 0 ? {} : { seq } }))
      return app.inject({ method: 'POST', url: '/live', headers: { 'x-tether-session': id, ...by !== null && { 'x-tether-sender': by } }, payload: envelopes.length === 1 ? envelopes[0]! : envelopes })
    }
    const check = (expected: ReturnType<Model['post']>, answer: Awaited<ReturnType<typeof post>>) => {
      const [status, body, known] = expected
      equal(answer.statusCode, status, answer.body)
      seen[status]!++
      const json = answer.json() as Record<string, unknown>
      for (const [key, value] of Object.entries(body ?? {})) equal(json[key], value, key)
      if (status === 202) equal(Number(answer.headers['x-tether-known'] ?? 0), known)
      if (status === 429) equal(answer.headers['retry-after'], '1')
    }

    for (const step of steps) {
      switch (step.kind) {
        case 'post':
          // Numbers begin at 1; what is before that is none.
          last = step.offsets.map((offset) => ({ to: ++to, seq: offset === null ? 0 : Math.max(0, model.accepted + offset) }))
          by = step.sender
          check(model.post(last, by), await post(last))
          break
        case 'again': {
          if (step.sender !== undefined) by = step.sender
          // They are alike, so it is the same whichever of them is first.
          const answers = await Promise.all(Array.from({ length: step.times }, () => post(last)))
          for (const answer of answers) check(model.post(last, by), answer)
          break
        }
        case 'settle':
          settles.get(id)?.()
          settles.delete(id)
          await setImmediate()
          if (model.running !== null) model.settle()
      }
      await setImmediate()
      deepStrictEqual(ran.get(id), model.ran, 'what ran, in order')
      equal(live.get(id)!.stats.queuedCommands, model.waiting.length)
    }
    const closing = live.get(id)!.close()
    while (settles.size > 0) {
      for (const settle of settles.values()) settle()
      settles.clear()
      await setImmediate()
    }
    await closing
    deepStrictEqual(ran.get(id), [...model.ran, ...model.waiting], 'what was accepted runs before the session is gone')
  }), { numRuns: 50 * effort })
  for (const [status, count] of Object.entries(seen)) t.ok(count > 20, `${count} times ${status}`)
})

const withDefault = defineContract({
  events: { say: Type.Object({ text: Type.String(), times: Type.Integer({ default: 1 }) }), stop: Type.Object({}) },
  updates: { note: Type.Object({}) }
})

/** Who asks is all that a request is looked at for here. */
const requestOf = (user: string | null) => ({ user, ip: '127.0.0.1' }) as unknown as FastifyRequest
const anna = requestOf('anna')

/** An endpoint that no route leads to. */
function createEndpoint (handle: (data: unknown) => unknown = () => {}) {
  const ran: unknown[] = []
  const limits = { maxSessions: 10, maxPerBinding: 10, maxPerAddress: 10, maxPerConnection: 10, maxDetached: 10, maxPending: 10, pendingMs: 600_000 }
  const runtime = createRuntime(2 ** 24, 0)
  const run = (_session: unknown, data: unknown) => {
    ran.push(data)
    return handle(data)
  }
  const endpoint = new Endpoint({
    contract: CompiledContract.of(withDefault),
    limits: { ...defaults.stateful, commandBuffer: 2, maxBatch: 3 },
    config: { contract: withDefault, on: { say: run, stop: run } } as never,
    bind: (request) => (request as unknown as { user: string | null }).user,
    trustedOrigins: new Set(),
    runtime,
    registry: new SessionRegistry(limits, 10, () => {}),
    log: { error: () => {}, info: () => {} } as unknown as FastifyBaseLogger
  })
  const createSession = async () => {
    const applicant = endpoint.applicant(anna, null)
    equal(endpoint.registry.reserve(applicant.owner, null), true)
    return endpoint.create(anna, applicant, false)
  }
  return { endpoint, acceptance: new Acceptance(endpoint), runtime, ran, createSession }
}

const submitted = (given: Partial<Submission>): Submission => ({ event: null, body: undefined, isForm: false, bytes: 10, sender: null, lastEventId: undefined, ...given })
const say = (text: string, seq?: number) => ({ event: 'say', data: { text }, ...seq === undefined ? {} : { seq } })
const accepted = (seq: number, known = 0, status = 202) => ({ isAccepted: true, status, seq, known })
const refused = (status: number, code: string, more: object = {}) => ({ isAccepted: false, status, retryAfter: undefined, error: { code, statusCode: status, ...more } })

t.test('a submission comes to one outcome, whichever way it came', async (t) => {
  const rows: Array<[what: string, steps: Array<[Partial<Submission>, expected: object]>, ran: unknown[]]> = [
    ['an envelope without a number', [[{ body: say('a') }, accepted(0)]], [{ text: 'a', times: 1 }]],
    ['an envelope with one', [[{ body: say('a', 1) }, accepted(1)]], [{ text: 'a', times: 1 }]],
    ['a batch', [[{ body: [say('a', 1), say('b', 2)] }, accepted(2)]], [{ text: 'a', times: 1 }, { text: 'b', times: 1 }]],
    ['the same again', [[{ body: say('a', 1) }, accepted(1)], [{ body: say('a', 1) }, accepted(1, 1)]], [{ text: 'a', times: 1 }]],
    ['a batch known in part', [[{ body: say('a', 1) }, accepted(1)], [{ body: [say('a', 1), say('b', 2)] }, accepted(2, 1)]], [{ text: 'a', times: 1 }, { text: 'b', times: 1 }]],
    ['the data of an event', [[{ event: 'say', body: { text: 'a', times: 2 } }, accepted(0)]], [{ text: 'a', times: 2 }]],
    ['a form', [[{ event: 'say', body: { text: 'a', times: '2' }, isForm: true }, accepted(0, 0, 204)]], [{ text: 'a', times: 2 }]],
    ['leaving', [[{ event: 'tether.close', body: {} }, accepted(0)]], []],
    ['leaving by a form', [[{ event: 'tether.close', body: {}, isForm: true }, accepted(0, 0, 204)]], []],
    ['an envelope that leaves', [[{ body: { event: 'tether.close', data: {} } }, refused(400, 'FST_ERR_VALIDATION', { errors: [{ path: '/event', message: 'must be one of "say", "stop"' }] })]], []],
    ['no envelope', [[{ body: 5 }, refused(400, 'FST_ERR_VALIDATION', { errors: [{ path: '', message: 'must be an object with "event" and "data"' }] })]], []],
    ['an event that there is not', [[{ event: 'nope', body: {} }, refused(400, 'FST_ERR_VALIDATION', { errors: [{ path: '', message: 'the event of the URL must be one of "say", "stop"' }] })]], []],
    ['bad data', [[{ event: 'say', body: { text: 5 } }, refused(400, 'FST_ERR_VALIDATION', { errors: [{ path: '/text', message: 'must be string' }] })]], []],
    ['strings for numbers, in no form', [[{ event: 'say', body: { text: 'a', times: '2' } }, refused(400, 'FST_ERR_VALIDATION', { errors: [{ path: '/times', message: 'must be integer' }] })]], []],
    ['a batch with one fault', [[{ body: [say('a', 1), { event: 'say', data: {}, seq: 2 }] }, refused(400, 'FST_ERR_VALIDATION')], [{ body: say('b', 1) }, accepted(1)]], [{ text: 'b', times: 1 }]],
    ['a batch that is too long', [[{ body: [1, 2, 3, 4].map(() => ({ event: 'stop', data: {} })) }, refused(400, 'FST_ERR_VALIDATION')]], []],
    ['a number that skips', [[{ body: [say('a', 1), say('c', 3)] }, refused(409, 'FST_ERR_TETHER_SEQUENCE', { expected: 1 })], [{ body: say('a', 1) }, accepted(1)]], [{ text: 'a', times: 1 }]],
    ['more than the channel holds', [[{ body: [say('a', 1), say('b', 2), say('c', 3)] }, { ...refused(429, 'FST_ERR_TETHER_BUSY'), retryAfter: 1 }], [{ body: say('a', 1) }, accepted(1)]], [{ text: 'a', times: 1 }]],
    ['a body of unknown length that JSON cannot hold', [[{ event: 'say', body: Object.defineProperty({ text: 'a' }, 'toJSON', { value: () => 1n }), bytes: null }, accepted(0)]], [{ text: 'a', times: 1 }]]
  ]
  const ways: Record<string, (acceptance: Acceptance, session: Awaited<ReturnType<ReturnType<typeof createEndpoint>['createSession']>>, submission: Submission) => Outcome> = {
    'by the id of its session': (acceptance, session, submission) => acceptance.acceptFor(session.id, anna, submission) as Outcome,
    'from the stream of its session': (acceptance, session, submission) => acceptance.accept(session, submission)
  }
  for (const [way, send] of Object.entries(ways)) {
    for (const [what, steps, expected] of rows) {
      const { acceptance, createSession, ran } = createEndpoint()
      const session = await createSession()
      // A handler that has settled makes room in the channel before the next step.
      for (const [given, outcome] of steps) {
        t.match(send(acceptance, session, submitted(structuredCloneOf(given))), outcome, `${what}, ${way}`)
        await setImmediate()
      }
      t.same(ran, expected, `${what}, ${way}: what ran`)
      session.destroy()
    }
  }
})

/** Handlers get the very data, with defaults filled in: rows must not share it. */
function structuredCloneOf (given: Partial<Submission>): Partial<Submission> {
  return given.bytes === null ? given : structuredClone(given)
}

t.test('a session is found by its id, for whom it belongs to', async (t) => {
  const { acceptance, endpoint, createSession, runtime, ran } = createEndpoint()
  const session = await createSession()
  const send = (id: unknown, request = anna) => acceptance.acceptFor(id, request, submitted({ event: 'stop', body: {} }))
  t.match(send(session.id), accepted(0))
  for (const id of [undefined, '', ['a', 'b'], 5]) t.match(send(id), refused(400, 'FST_ERR_VALIDATION', { message: /names no session/ }), `${id}`)
  t.match(send('x'.repeat(24)), refused(404, 'FST_ERR_TETHER_SESSION_NOT_FOUND'))
  for (const user of ['otto', null]) t.match(send(session.id, requestOf(user)), refused(403, 'FST_ERR_TETHER_BINDING'), `${user}`)
  await setImmediate()
  t.equal(ran.length, 1)

  const failing = send(session.id, Object.defineProperty({}, 'user', { get: () => { throw Object.assign(new Error('who is that'), { statusCode: 401 }) } }) as FastifyRequest)
  t.match(failing, { isAccepted: false, status: 401, error: { message: 'who is that' } }, 'what bind throws')
  const odd = send(session.id, { user: {} } as unknown as FastifyRequest)
  t.match(odd, { isAccepted: false, status: 500, error: { code: 'FST_ERR_TETHER_ARGUMENT' } }, 'what bind must not give')

  const { id } = session
  const closing = session.close()
  t.match(send(id), refused(410, 'FST_ERR_TETHER_SESSION_CLOSED'), 'while it is being closed')
  t.match(acceptance.accept(session, submitted({ body: say('a') })), refused(410, 'FST_ERR_TETHER_SESSION_CLOSED'), 'from its own stream')
  runtime.draining = true
  t.match(send(id), { ...refused(503, 'FST_ERR_TETHER_DRAINING'), retryAfter: 1 }, 'while the server stops')
  runtime.draining = false
  await closing
  t.equal(endpoint.sessions.size, 0)
  t.match(send(id), refused(410, 'FST_ERR_TETHER_SESSION_CLOSED'), 'once it is gone')
  t.equal(ran.length, 1)
})

t.test('only what is accepted frees the updates that the client has', async (t) => {
  const { acceptance, createSession } = createEndpoint()
  const session = await createSession()
  session.send('note', {})
  session.send('note', {})
  // As a stream does that has written both.
  session.outbox.wrote(session.outbox.next, performance.now())
  const held = () => session.stats.heldFrames
  const at = (seq: number) => `${session.id}.${seq}`
  acceptance.accept(session, submitted({ event: 'nope', body: {}, lastEventId: at(1) }))
  t.equal(held(), 2, 'a refusal frees nothing')
  for (const lastEventId of [undefined, ['a'], 'a', `${'x'.repeat(24)}.2`]) acceptance.accept(session, submitted({ event: 'stop', body: {}, lastEventId }))
  t.equal(held(), 2, 'nor does what names nothing of this session')
  await setImmediate()
  t.match(acceptance.accept(session, submitted({ event: 'stop', body: {}, lastEventId: at(1) })), accepted(0))
  t.equal(held(), 1)
  t.match(acceptance.accept(session, submitted({ event: 'tether.close', body: {}, lastEventId: at(2) })), accepted(0))
  t.equal(held(), 0, 'also as its page leaves')
  session.destroy()
})

t.test('a refusal names no more faults than its text may be long', async (t) => {
  const { faults, faultBytes, faultPathBytes, faultTextBytes, faultMessageBytes } = defaults.fixed
  const few = [{ path: '/data/n', message: 'must be integer' }, { path: '', message: 'is wrong' }]
  t.same(refusal(few).errors, few)
  t.equal(refusal(few).message, '/data/n must be integer; is wrong')
  t.equal(refusal(Array.from({ length: 1_000 }, (_, index) => ({ path: `/${index}`, message: 'no' }))).errors.length, faults)

  const long = { path: `/${'k'.repeat(60_000)}/0`, message: 'must be integer' }
  const { errors } = refusal(Array<typeof long>(faults).fill(long))
  t.same(errors[0], { path: `${long.path.slice(0, faultPathBytes)}…`, message: 'must be integer' })
  t.equal(errors.length, Math.floor(faultBytes / (JSON.stringify(errors[0]).length + 3)), 'the dots are three bytes, and a comma one')
  const many = refusal(Array.from({ length: 100 }, (_, index) => ({ path: `/${index}`, message: 'must be integer' })))
  t.equal(many.errors.length, 100)
  t.match(many.message, /^\/0 must be integer; \/1 must be integer; .*; and [0-9]+ more$/)
  t.ok(many.message.length < faultMessageBytes + 50)

  const wordy = { path: '/data', message: 'x'.repeat(2 * faultBytes) }
  t.same(refusal([wordy, ...few]).errors, [{ path: '/data', message: `${'x'.repeat(faultTextBytes)}…` }, ...few], 'a text is cut')

  for (const character of ['k', '"', '\\', '\0', 'é', '漢', '🌍', '\ud800', '\u2028']) {
    for (const length of [1, 20, 500, 10_000]) {
      const error = refusal(Array.from({ length: 200 }, (_, index) => ({ path: `/${index}/${character.repeat(length)}`, message: character.repeat(length) })))
      const bytes = Buffer.byteLength(JSON.stringify({ statusCode: 400, code: error.code, error: 'Bad Request', message: error.message, errors: error.errors }))
      t.ok(bytes <= 16_384, `${bytes} bytes for ${length} of U+${character.codePointAt(0)!.toString(16)}`)
      t.ok(error.errors.length > 0)
      t.ok(character === '\ud800' || error.errors.every(({ path, message }) => !/\ud83c…/.test(`${path} ${message}`)), 'no character is cut in two')
    }
  }
})
