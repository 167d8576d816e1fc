import { Type } from '@sinclair/typebox'
import { describe, expect, test } from 'tstyche'
import { ClientError, connect, type Connection, type ConnectionState, type ConnectOptions, type Verdict as ClientVerdict } from '../../client/index.ts'
import { conflate, defineContract, text } from '../../plugin/index.ts'

export const contract = defineContract({
  events: {
    'range.set': Type.Object({ range: Type.Union([Type.Literal('1h'), Type.Literal('24h')]), zoom: Type.Optional(Type.Integer()) }),
    pause: Type.Object({}),
    move: Type.Tuple([Type.Number(), Type.Number()])
  },
  updates: {
    sample: conflate(Type.Object({ series: Type.String(), v: Type.Number() }), (sample) => sample.series),
    notice: Type.Object({ text: Type.String() }),
    row: text()
  }
})

const live = connect<typeof contract>('/live')

describe('connect', () => {
  test('is typed by the contract alone', () => {
    expect(live).type.toBe<Connection<typeof contract>>()
    expect(live.state).type.toBe<ConnectionState>()
    expect(live.session).type.toBe<string | undefined>()
  })

  test('takes options that there are', () => {
    expect(connect).type.toBeCallableWith('/live', { headers: { a: 'b' }, credentials: 'include', retryMs: 1, signal: AbortSignal.abort() })
    expect(connect).type.toBeCallableWith(new URL('http://localhost/live'), { headers: async () => ({ a: 'b' }) })
    expect(connect).type.not.toBeCallableWith('/live', { retry: 1 })
    expect(connect).type.not.toBeCallableWith('/live', { retryMS: 1 })
    expect(connect).type.not.toBeCallableWith('/live', { setUp: async () => {} })
    expect(connect).type.not.toBeCallableWith('/live', { retryMs: '1' })
    expect(connect).type.not.toBeCallableWith()
  })
})

describe('setup', () => {
  test('has the contract\'s emit, and the verdict', () => {
    connect<typeof contract>('/live', {
      setup: async (emit, { verdict }) => {
        expect(emit).type.toBe<Connection<typeof contract>['emit']>()
        expect(emit('range.set', { range: '1h' })).type.toBe<Promise<void>>()
        expect(emit).type.not.toBeCallableWith('range.set', { range: '2h' })
        expect(emit).type.not.toBeCallableWith('row', 'text')
        expect(verdict).type.toBe<ClientVerdict>()
      }
    })
    connect('/live', { setup: (emit) => emit('anything', { at: 'all' }) })
    expect(connect<typeof contract>).type.toBeCallableWith('/live', { setup: () => {} })
  })

  test('options of no contract can be handed on', () => {
    const options: ConnectOptions = { setup: (emit) => emit('pause') }
    expect(connect<typeof contract>).type.toBeCallableWith('/live', options)
  })
})

describe('updates', () => {
  test('have the type of their schema', () => {
    live.on('sample', (sample) => { expect(sample).type.toBe<{ series: string, v: number }>() })
    live.on('row', (row) => { expect(row).type.toBe<string>() })
    expect(live.on('notice', () => {})).type.toBe<() => void>()
    expect(live.once('notice')).type.toBe<Promise<{ text: string }>>()
    expect(live.once('notice', () => {})).type.toBe<() => void>()
    expect(live.on).type.not.toBeCallableWith('other', () => {})
    expect(live.on).type.not.toBeCallableWith('pause', () => {})
    expect(live.on).type.not.toBeCallableWith('row', (row: number) => row)
  })

  test('can be iterated over', async () => {
    for await (const update of live) {
      expect(update.name).type.toBe<'sample' | 'notice' | 'row'>()
      if (update.name === 'row') expect(update.data).type.toBe<string>()
    }
    for await (const notice of live.updates('notice')) expect(notice).type.toBe<{ text: string }>()
  })
})

describe('emit', () => {
  test('takes the event\'s data', () => {
    expect(live.emit('range.set', { range: '1h' })).type.toBe<Promise<void>>()
    expect(live.emit).type.toBeCallableWith('range.set', { range: '24h', zoom: 2 })
    expect(live.emit).type.toBeCallableWith('move', [1, 2])
    expect(live.emit).type.not.toBeCallableWith('range.set', { range: '2h' })
    expect(live.emit).type.not.toBeCallableWith('range.set')
    expect(live.emit).type.not.toBeCallableWith('row', 'text')
  })

  test('may do without data where it is empty', () => {
    expect(live.emit).type.toBeCallableWith('pause')
    expect(live.emit).type.toBeCallableWith('pause', {})
  })
})

describe('states', () => {
  test('are words, with what goes with them', () => {
    live.onState((state, { verdict, retryMs }) => {
      expect(state).type.toBe<'idle' | 'connecting' | 'open' | 'waiting' | 'closed'>()
      expect(verdict).type.toBe<ClientVerdict | undefined>()
      expect(retryMs).type.toBe<number | undefined>()
    })
    expect(new ClientError({ code: 'TETHER_CLOSED' }).errors).type.toBe<Array<{ path: string, message: string }> | undefined>()
  })
})
