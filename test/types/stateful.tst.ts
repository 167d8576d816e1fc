import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyRequest } from 'fastify'
import { describe, expect, test } from 'tstyche'
import tether, {
  conflate, defineContract, text,
  type CloseReason, type DisconnectReason, type Group, type Handler, type HandlerContext, type Session, type SessionStats, type Verdict
} from '../../plugin/index.ts'

const Sample = Type.Object({ series: Type.String(), t: Type.Integer(), v: Type.Number() })

const contract = defineContract({
  events: {
    'range.set': Type.Object({ range: Type.Union([Type.Literal('1h'), Type.Literal('24h')]) }),
    pause: Type.Object({})
  },
  updates: {
    sample: conflate(Sample, (sample) => sample.series),
    notice: Type.Object({ text: Type.String() }),
    row: text()
  }
})

type Updates = typeof contract.updates
type Range = '1h' | '24h'

const app = Fastify()
await app.register(tether)

describe('the state', () => {
  test('is what initialState returns', () => {
    const live = app.tether.stateful('/live', {
      contract,
      initialState: () => ({ range: '1h', count: 0 }),
      on: {
        'range.set': (session) => { expect(session.state).type.toBe<{ range: string, count: number }>() },
        pause: (session) => { expect(session.state.count).type.toBe<number>() }
      }
    })
    expect(live).type.toBe<Handler<{ range: string, count: number }, Updates>>()
  })

  test('is what a promise of initialState gives', () => {
    const live = app.tether.stateful('/live', {
      contract,
      initialState: async (request) => {
        expect(request).type.toBe<FastifyRequest>()
        return { range: request.headers.range === '24h' ? '24h' as Range : '1h' as Range }
      },
      on: {
        'range.set': (session, { range }) => { session.state.range = range },
        pause: (session) => { expect(session.state).type.toBe<{ range: Range }>() }
      }
    })
    expect(live).type.toBe<Handler<{ range: Range }, Updates>>()
  })

  test('is what moves between nodes', () => {
    const live = app.tether.stateful('/live', {
      contract,
      initialState: () => ({ seen: new Set<string>() }),
      persist: 'detach',
      stateVersion: 2,
      freezeMs: 5_000,
      serialize: (state) => {
        expect(state).type.toBe<{ seen: Set<string> }>()
        return { seen: [...state.seen] }
      },
      deserialize: async (data, { version }) => {
        expect(data).type.toBe<unknown>()
        expect(version).type.toBe<number>()
        return { seen: new Set(Array.isArray(data) ? data.map(String) : []) }
      },
      onConnect: (_session, { restored }) => { expect(restored).type.toBe<'moved' | 'frozen' | 'crashed' | null>() },
      onFreeze: (session) => { expect(session.state).type.toBe<{ seen: Set<string> }>() },
      onRestore: (session, { from, live }) => {
        expect(session.state.seen).type.toBe<Set<string>>()
        expect(from).type.toBe<'moved' | 'frozen' | 'crashed'>()
        expect(live).type.toBe<Handler<{ seen: Set<string> }, Updates>>()
      },
      on: { 'range.set': (session) => { expect(session.state).type.toBe<{ seen: Set<string> }>() }, pause: () => {} }
    })
    expect(live).type.toBe<Handler<{ seen: Set<string> }, Updates>>()
  })

  test('is undefined without initialState', () => {
    const live = app.tether.stateful('/live', {
      contract,
      on: { 'range.set': (session) => { expect(session.state).type.toBe<undefined>() }, pause: () => {} }
    })
    expect(live).type.toBe<Handler<undefined, Updates>>()
  })

  test('is known to handlers written before initialState, when that does not leave its parameter to inference', () => {
    app.tether.stateful('/live', {
      on: {
        pause: (session) => { expect(session.state).type.toBe<{ count: number }>() },
        'range.set': (session, { range }) => { expect(range).type.toBe<Range>() }
      },
      initialState: () => ({ count: 0 }),
      contract
    })
    app.tether.stateful('/live', {
      onConnect: (session, { verdict }) => { expect(session.state).type.toBe<{ url: string }>() },
      on: { pause: (session) => { expect(session.state).type.toBe<{ url: string }>() }, 'range.set': () => {} },
      initialState: async (request: FastifyRequest) => ({ url: request.url }),
      contract
    })
  })

  test('may be assigned as a whole', () => {
    app.tether.stateful('/live', {
      contract,
      initialState: () => ({ count: 0 }),
      on: {
        pause: (session) => { session.state = { count: session.state.count + 1 } },
        'range.set': (session) => {
          // @ts-expect-error Type 'string' is not assignable to type 'number'
          session.state = { count: '1' }
        }
      }
    })
  })
})

describe('handlers', () => {
  test('get session, data and context from the contract, as concise arrows', () => {
    const live = app.tether.stateful('/live', {
      contract,
      initialState: (request) => ({ range: '1h' as Range, from: request.ip }),
      onConnect: (session, { request, verdict, live }) => live.group('hosts').add(session),
      on: {
        pause: (session, data, { live }) => live.group('hosts').delete(session),
        'range.set': async (session, { range }) => { session.state.range = range }
      },
      onDisconnect: (session, reason, { live }) => live.group('hosts').delete(session),
      onClose: (session, reason) => {}
    })
    expect(live).type.toBe<Handler<{ range: Range, from: string }, Updates>>()
  })

  test('have exact parameters', () => {
    app.tether.stateful('/live', {
      contract,
      on: {
        'range.set': (session, data, context) => {
          expect(session).type.toBe<Session<undefined, Updates>>()
          expect(data).type.toBe<{ range: Range }>()
          expect(context).type.toBe<HandlerContext<undefined, Updates>>()
          expect(context.live).type.toBe<Handler<undefined, Updates>>()
        },
        pause: (_session, data) => { expect(data).type.toBe<{}>() }
      }
    })
  })

  test('are all there, and no others', () => {
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { contract })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { contract, on: {} })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { contract, on: { pause: () => {} } })
    expect(app.tether.stateful).type.toBeCallableWith('/live', { contract, on: { pause: () => {}, 'range.set': () => {} } })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { contract, on: { pause: () => {}, 'range.set': () => {}, resume: () => {} } })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { contract, on: { pause: 'stop', 'range.set': () => {} } })
  })

  test('cannot take other data than the contract\'s', () => {
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', {
      contract,
      on: { pause: () => {}, 'range.set': (session: Session<undefined, Updates>, data: { range: number }) => data }
    })
  })

  test('are not needed for a contract without events', () => {
    const down = defineContract({ updates: { row: text() } })
    expect(app.tether.stateful).type.toBeCallableWith('/live', { contract: down, on: {} })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { contract: down, on: { pause: () => {} } })
    const live = app.tether.stateful('/live', { contract: down, initialState: (request) => request.ip, onConnect: (session) => { expect(session.state).type.toBe<string>() } })
    expect(live.broadcast).type.toBeCallableWith('row', '<tr></tr>')
  })

  test('cannot send where the contract has no updates', () => {
    const up = defineContract({ events: { pause: Type.Object({}) } })
    const live = app.tether.stateful('/live', {
      contract: up,
      on: { pause: (session) => { expect(session.send).type.not.toBeCallableWith('pause', {}) } }
    })
    expect(live.broadcast).type.not.toBeCallableWith('row', '')
  })
})

describe('hooks', () => {
  test('have exact parameters', () => {
    app.tether.stateful('/live', {
      contract,
      initialState: () => 7,
      on: { pause: () => {}, 'range.set': () => {} },
      onConnect: (session, context) => {
        expect(session).type.toBe<Session<number, Updates>>()
        expect(context.request).type.toBe<FastifyRequest>()
        expect(context.verdict).type.toBe<Verdict>()
        expect(context.live).type.toBe<Handler<number, Updates>>()
      },
      onDisconnect: (session, reason, { live }) => {
        expect(session).type.toBe<Session<number, Updates>>()
        expect(reason).type.toBe<DisconnectReason>()
        expect(live).type.toBe<Handler<number, Updates>>()
      },
      onClose: (session, reason) => {
        expect(session.state).type.toBe<number>()
        expect(reason).type.toBe<CloseReason>()
      },
      onJoin: (session, group) => { expect(group).type.toBe<string>() },
      onGap: (session, { live }) => [session.send('notice', { text: 'snapshot' }), live.local.group('g').local.broadcast('notice', { text: session.id }), live.synced()],
      onLeave: (session, group, { live }) => live.group(group).broadcast('notice', { text: session.id }),
      onError: (session, error, { command, live }) => {
        expect(error).type.toBe<unknown>()
        expect(command).type.toBe<string>()
        expect(live).type.toBe<Handler<number, Updates>>()
      },
      bind: (request) => {
        expect(request).type.toBe<FastifyRequest>()
        return request.ip
      }
    })
  })

  test('know the verdicts', () => {
    expect<Verdict>().type.toBe<'new' | 'resumed' | 'gap' | 'expired'>()
    expect<DisconnectReason>().type.toBe<'client' | 'stalled' | 'overflow' | 'replaced' | 'closed' | 'failed' | 'moved'>()
    expect<CloseReason>().type.toBeAssignableFrom<'closed' | 'left' | 'reconnect-timeout' | 'idle' | 'lifetime' | 'evicted' | 'draining' | 'shutdown'>()
    expect<CloseReason>().type.toBeAssignableFrom<string>()
  })

  test('bind gives a string, a number or nobody', () => {
    const rest = { contract, on: { pause: () => {}, 'range.set': () => {} } }
    expect(app.tether.stateful).type.toBeCallableWith('/live', { ...rest, bind: () => 7 })
    expect(app.tether.stateful).type.toBeCallableWith('/live', { ...rest, bind: () => null })
    expect(app.tether.stateful).type.toBeCallableWith('/live', { ...rest, bind: () => undefined })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, bind: () => ({ id: 7 }) })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, bind: async () => 7 })
  })
})

describe('options', () => {
  const rest = { contract, on: { pause: () => {}, 'range.set': () => {} } }

  test('are known by name and type', () => {
    expect(app.tether.stateful).type.toBeCallableWith('/live', {
      ...rest,
      mode: 'sse',
      upgrade: app.tether.sse.upgrade({ writeBuffer: 16, heartbeatMs: 0, retryMs: 2_000, stallTimeoutMs: 10_000 }),
      fallback: app.tether.sse.upgrade(),
      commandBuffer: 8,
      onOverflow: 'dropOldest',
      trustedOrigins: ['https://app.example.com'] as const
    })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, commandBuffer: '8' })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, onOverflow: 'drop' })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, mode: 'long-poll' })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, upgrade: app.tether.sse })
    expect(app.tether.stateful).type.toBeCallableWith('/live', {
      ...rest,
      mode: 'both',
      upgrade: app.tether.websocket.upgrade({ writeBuffer: 16, heartbeatMs: 0, retryMs: 2_000, stallTimeoutMs: 10_000, openTimeoutMs: 5_000 }),
      fallback: app.tether.sse.upgrade()
    })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, mode: 'both', fallback: app.tether.websocket.upgrade() })
    expect(app.tether.stateful).type.toBeCallableWith('/live', { ...rest, mode: undefined! as 'sse' | 'websocket' | 'both' })
  })

  test('an upgrade must be of the kind that the mode takes, and called', () => {
    const events = app.tether.sse.upgrade()
    const sockets = app.tether.websocket.upgrade()
    for (const upgrade of [events]) app.tether.stateful('/live', { ...rest, upgrade })
    app.tether.stateful('/live', { ...rest, mode: 'websocket', upgrade: sockets })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, mode: 'both', upgrade: events })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, mode: 'both', upgrade: events, fallback: sockets })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, mode: 'websocket', upgrade: events })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, mode: 'websocket', fallback: events })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, mode: 'sse', upgrade: sockets })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, upgrade: sockets })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, upgrade: app.tether.sse.upgrade })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, fallback: app.tether.sse.upgrade })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, mode: 'both', upgrade: app.tether.websocket.upgrade })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { ...rest, upgrade: (...given: Parameters<typeof events>) => events(...given) })
  })

  test('of plain streams', () => {
    expect(app.tether.sse.upgrade).type.toBeCallableWith({ goodbye: true })
    expect(app.tether.websocket.upgrade).type.toBeCallableWith({ goodbye: true })
    expect(app.tether.sse.upgrade).type.not.toBeCallableWith({ goodbye: 'yes' })
  })

  test('are checked in every call', () => {
    expect(app.tether.websocket.upgrade).type.not.toBeCallableWith({ maxPayload: 16 })
    expect(app.tether.stateful).type.not.toBeCallableWith({ ...rest })
    expect(app.tether.sse.upgrade).type.not.toBeCallableWith({ writebuffer: 16 })
    expect(app.tether.drain).type.toBeCallableWith({ timeoutMs: 5_000, retryMs: 0, spreadMs: 0 })
    expect(app.tether.drain).type.toBeCallableWith()
    expect(app.tether.drain).type.not.toBeCallableWith(5_000)
  })
})

describe('a session', () => {
  const session = undefined! as Session<{ range: Range }, Updates>

  test('sends the contract\'s updates', () => {
    expect(session.send).type.toBeCallableWith('sample', { series: 'cpu', t: 1, v: 0.5 })
    expect(session.send).type.toBeCallableWith('notice', { text: 'hello' })
    expect(session.send).type.toBeCallableWith('row', '<tr></tr>')
    expect(session.send('row', '')).type.toBe<Promise<boolean>>()
  })

  test('refuses another name or payload', () => {
    expect(session.send).type.not.toBeCallableWith('smaple', { series: 'cpu', t: 1, v: 0.5 })
    expect(session.send).type.not.toBeCallableWith('pause', {})
    expect(session.send).type.not.toBeCallableWith('sample', { series: 'cpu', t: 1 })
    expect(session.send).type.not.toBeCallableWith('sample', { series: 'cpu', t: 1, v: '0.5' })
    expect(session.send).type.not.toBeCallableWith('notice', { text: 'hello', from: 'me' })
    expect(session.send).type.not.toBeCallableWith('notice')
    expect(session.send).type.not.toBeCallableWith('row', { text: 'x' })
  })

  test('refuses a payload that fits another update than the name says', () => {
    const name = undefined! as 'notice' | 'row'
    expect(session.send).type.toBeCallableWith('notice', { text: 'x' })
    expect(session.send).type.not.toBeCallableWith(name, 7)
  })

  test('updates with itself, and gives what the function returns', () => {
    expect(session.update((own) => own.state.range)).type.toBe<Promise<Range>>()
    expect(session.update(async (own) => own.send('row', ''))).type.toBe<Promise<boolean>>()
    expect(session.update(() => {})).type.toBe<Promise<void>>()
    session.update((own) => { expect(own).type.toBe<Session<{ range: Range }, Updates>>() })
    expect(session.update).type.not.toBeCallableWith('row')
  })

  test('has its other members', () => {
    expect(session.id).type.toBe<string>()
    expect(session.connected).type.toBe<boolean>()
    expect(session.signal).type.toBe<AbortSignal>()
    expect(session.stats).type.toBe<SessionStats>()
    expect(session.close).type.toBeCallableWith()
    expect(session.close).type.toBeCallableWith('idle')
    expect(session.close).type.toBeCallableWith('moved', { reconnect: true })
    expect(session.close()).type.toBe<Promise<void>>()
    expect(session.close).type.not.toBeCallableWith({ reconnect: true })
  })

  test('has members that cannot be assigned', () => {
    // @ts-expect-error Cannot assign to 'id' because it is a read-only property.
    session.id = ''
    // @ts-expect-error Cannot assign to 'connected' because it is a read-only property.
    session.connected = true
  })
})

describe('a handler and its groups', () => {
  const live = app.tether.stateful('/live', { contract, initialState: () => 7, on: { pause: () => {}, 'range.set': () => {} } })

  test('broadcast the contract\'s updates', () => {
    for (const broadcast of [live.broadcast, live.group('hosts').broadcast]) {
      expect(broadcast).type.toBeCallableWith('sample', { series: 'cpu', t: 1, v: 0.5 })
      expect(broadcast).type.toBeCallableWith('row', '')
      expect(broadcast).type.not.toBeCallableWith('sample', { series: 'cpu' })
      expect(broadcast).type.not.toBeCallableWith('row', 7)
      expect(broadcast).type.not.toBeCallableWith('rows', '')
      expect(broadcast('row', '')).type.toBe<number>()
    }
  })

  test('broadcast to all but one', () => {
    const group = live.group('hosts')
    const session = live.get('id')!
    expect(group.broadcastExcept).type.toBeCallableWith(session, 'row', '')
    expect(group.broadcastExcept).type.not.toBeCallableWith(session, 'row', 7)
    expect(group.broadcastExcept).type.not.toBeCallableWith('row', '')
  })

  test('give sessions of their own type', () => {
    expect(live.get('id')).type.toBe<Session<number, Updates> | undefined>()
    for (const session of live.sessions) expect(session).type.toBe<Session<number, Updates>>()
    expect(live.group('hosts')).type.toBe<Group<number, Updates>>()
    for (const session of live.group('hosts')) expect(session).type.toBe<Session<number, Updates>>()
    expect(live.group('hosts').size).type.toBe<number>()
  })

  test('prepare from a request', () => {
    const request = undefined! as FastifyRequest
    expect(live.prepare(request)).type.toBe<Promise<string | null>>()
  })

  test('are named by the state and the contract\'s updates', () => {
    const announce = (handler: Handler<number, Updates>, group: Group<number, typeof contract.updates>): number =>
      handler.broadcast('notice', { text: 'x' }) + group.broadcast('row', '')
    expect(announce).type.toBeCallableWith(live, live.group('hosts'))
    const told = (session: Session<number, Updates>): Promise<boolean> => session.send('notice', { text: String(session.state) })
    expect(told).type.toBeCallableWith(live.get('id')!)
    expect(told).type.not.toBeCallableWith(undefined! as Session<string, Updates>)
  })
})
