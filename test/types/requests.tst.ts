import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import * as z from 'zod'
import { connect, type Connection, type ReplyOf, type RequestName } from '../../client/index.ts'
import tether, { conflate, defineContract, EventError, request, text, type EventInput, type ReceivedReply, type ReplyData } from '../../plugin/index.ts'

const contract = defineContract({
  events: {
    'order.place': request(Type.Object({ article: Type.String() }), Type.Object({ order: Type.Integer(), note: Type.Optional(Type.String()) })),
    when: request(z.object({ zone: z.string().optional() }), z.object({ at: z.string().transform((text) => new Date(text)) })),
    ping: Type.Object({})
  },
  updates: { html: text({ unnamed: true }), row: conflate(text()) }
})

const live = connect<typeof contract>('/live')
const app = Fastify()
await app.register(tether)

describe('the handler of a request', () => {
  test('gets the data, and returns the reply or a promise of it', () => {
    app.tether.stateful('/live', {
      contract,
      initialState: () => ({ count: 0 }),
      on: {
        'order.place': (session, data) => {
          expect(data).type.toBe<{ article: string }>()
          expect(session.state).type.toBe<{ count: number }>()
          if (data.article === '') throw new EventError('SOLD_OUT', 'none', { left: 0 })
          return { order: 1 }
        },
        when: async () => ({ at: '2026-01-01' }),
        ping: () => 'anything'
      }
    })
    const on = { 'order.place': () => ({ order: 1 }), when: () => ({ at: '' }), ping: () => {} }
    expect(app.tether.stateful).type.toBeCallableWith('/live', { contract, on })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { contract, on: { ...on, 'order.place': () => ({ order: 'x' }) } })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { contract, on: { ...on, 'order.place': async () => ({}) } })
    expect(app.tether.stateful).type.not.toBeCallableWith('/live', { contract, on: { ...on, 'order.place': () => {} } })
  })

  test('names its types', () => {
    expect<EventInput<typeof contract.events['order.place']>>().type.toBe<{ article: string }>()
    expect<ReplyData<typeof contract.events.when>>().type.toBe<{ at: string }>()
    expect<ReceivedReply<typeof contract.events.when>>().type.toBe<{ at: string }>()
    expect<ReplyData<typeof contract.events.ping>>().type.toBe<never>()
  })
})

describe('live.request', () => {
  test('gives the reply', async () => {
    expect(live.request('order.place', { article: 'book' })).type.toBe<Promise<{ order: number, note?: string }>>()
    expect(live.request('order.place', { article: 'book' }, { timeoutMs: 5, signal: AbortSignal.abort() })).type.toBe<Promise<{ order: number, note?: string }>>()
    expect(live.request('when')).type.toBe<Promise<{ at: string }>>()
    expect(live.request('when', {}, { timeoutMs: 5 })).type.toBe<Promise<{ at: string }>>()
    expect(live.request).type.not.toBeCallableWith('order.place')
    expect(live.request).type.not.toBeCallableWith('order.place', { article: 5 })
    expect(live.request).type.not.toBeCallableWith('ping')
    expect(live.request).type.not.toBeCallableWith('order.place', { article: '' }, { timeout: 5 })
    expect(live.emit).type.toBeCallableWith('order.place', { article: 'book' })
    expect<RequestName<typeof contract>>().type.toBe<'order.place' | 'when'>()
    expect<ReplyOf<typeof contract, 'order.place'>>().type.toBe<{ order: number, note?: string }>()
  })

  test('of any contract takes any name', () => {
    const any = live as unknown as Connection
    expect(any.request).type.toBeCallableWith('anything', { at: 'all' })
  })
})

describe('request() and text()', () => {
  test('take what they can use', () => {
    expect(request).type.toBeCallableWith(Type.Object({}), Type.Null())
    expect(request).type.not.toBeCallableWith(Type.Object({}))
    expect(request).type.not.toBeCallableWith(Type.Object({}), text())
    expect(request).type.not.toBeCallableWith(request(Type.Object({}), Type.Null()), Type.Null())
    expect(text).type.not.toBeCallableWith({ named: true })
    expect(defineContract).type.not.toBeCallableWith({ updates: { a: request(Type.Object({}), Type.Null()) } })
  })

  test('an update that is unnamed is text', () => {
    live.on('html', (html) => { expect(html).type.toBe<string>() })
  })
})

describe('EventError', () => {
  test('has a code, and data of any kind', () => {
    expect(new EventError('SOLD_OUT')).type.toBe<EventError>()
    expect(new EventError('SOLD_OUT').data).type.toBe<unknown>()
    expect(EventError).type.not.toBeConstructableWith()
    expect(EventError).type.not.toBeConstructableWith(5)
  })
})
