import { Type as T0 } from '@sinclair/typebox'
import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import { Type as T1 } from 'typebox'
import * as v from 'valibot'
import * as z from 'zod'
import * as mini from 'zod/mini'
import { connect } from '../../client/index.ts'
import tether, { conflate, defineContract, text, type EventData, type EventInput, type Handler, type ReceivedData, type UpdateData, type UpdateOutput } from '../../plugin/index.ts'

const app = Fastify()
await app.register(tether)

interface Sent { id: string, count?: number | undefined }
interface Got { id: number, count: number }

describe('Zod', () => {
  const Order = z.object({ id: z.string().transform(Number), count: z.number().int().min(1).default(1) })
  const contract = defineContract({
    events: { order: Order, pause: z.object({}), size: z.enum(['s', 'm']) },
    updates: { order: Order, latest: conflate(Order, (order) => order.id), at: z.object({ at: z.date() }), row: text() }
  })

  test('gives handlers the output, and takes the input of a client', () => {
    expect<EventData<typeof contract.events.order>>().type.toBe<Got>()
    expect<EventInput<typeof contract.events.order>>().type.toBe<Sent>()
    const live = app.tether.stateful('/live', {
      contract,
      initialState: () => ({ last: 0 }),
      on: {
        order: (session, order) => {
          expect(order).type.toBe<Got>()
          session.state.last = order.id
          session.send('order', { id: '1' })
          expect(session.send).type.not.toBeCallableWith('order', { id: 1 })
          session.send('row', 'x')
        },
        pause: () => {},
        size: (_session, size) => { expect(size).type.toBe<'s' | 'm'>() }
      }
    })
    expect(live).type.toBe<Handler<{ last: number }, typeof contract.updates>>()
    expect(live.broadcast).type.toBeCallableWith('latest', { id: '1', count: 2 })
    expect(live.broadcast).type.not.toBeCallableWith('latest', { count: 2 })
    expect(live.broadcast).type.toBeCallableWith('at', { at: new Date() })
  })

  test('gives the key of conflate the output', () => {
    conflate(Order, (order) => { expect(order).type.toBe<Got>(); return order.id })
    expect(conflate).type.not.toBeCallableWith(Order, (order: { id: string }) => order.id)
  })

  test('gives a client what JSON carries', () => {
    const live = connect<typeof contract>('/live')
    live.on('order', (order) => { expect(order).type.toBe<Got>() })
    live.on('latest', (order) => { expect(order).type.toBe<Got>() })
    live.on('at', (update) => { expect(update).type.toBe<{ at: string }>() })
    live.on('row', (row) => { expect(row).type.toBe<string>() })
    expect(live.emit).type.toBeCallableWith('order', { id: '1' })
    expect(live.emit).type.toBeCallableWith('order', { id: '1', count: 5 })
    expect(live.emit).type.not.toBeCallableWith('order', { id: 1 })
    expect(live.emit).type.not.toBeCallableWith('order')
    expect(live.emit).type.toBeCallableWith('pause')
    expect(live.emit).type.toBeCallableWith('size', 's')
    expect(live.emit).type.not.toBeCallableWith('size', 'l')
    expect(live.once('order')).type.toBe<Promise<Got>>()
  })

  test('of its small form, with brands, unions, and schemas that refer to themselves', () => {
    const Node = z.object({ name: z.string(), get children () { return z.array(Node) } })
    const { events } = defineContract({
      events: {
        small: mini.object({ a: mini.optional(mini.string()) }),
        id: z.string().brand<'id'>(),
        shape: z.discriminatedUnion('kind', [z.object({ kind: z.literal('circle'), r: z.number() }), z.object({ kind: z.literal('square'), a: z.number() })]),
        node: Node
      }
    })
    expect(events).type.toHaveProperty('small')
    expect<EventData<typeof events.small>>().type.toBe<{ a?: string | undefined }>()
    expect<EventData<typeof events.id>>().type.toBe<string & z.core.$brand<'id'>>()
    expect<EventInput<typeof events.id>>().type.toBe<string>()
    expect<EventData<typeof events.shape>>().type.toBe<{ kind: 'circle', r: number } | { kind: 'square', a: number }>()
    expect<ReceivedData<typeof events.shape>>().type.toBe<{ kind: 'circle', r: number } | { kind: 'square', a: number }>()
    expect<EventData<typeof events.node>['children'][number]['children'][number]['name']>().type.toBe<string>()
    expect<ReceivedData<typeof events.node>['children'][number]['children'][number]['name']>().type.toBe<string>()
  })
})

describe('Valibot', () => {
  const Order = v.object({ id: v.pipe(v.string(), v.transform(Number)), count: v.optional(v.number(), 1) })
  const contract = defineContract({
    events: { order: Order, given: toStandardJsonSchema(Order) },
    updates: { order: conflate(Order, (order) => order.id), given: toStandardJsonSchema(Order) }
  })

  test('is inferred on both sides', () => {
    app.tether.stateful('/live', {
      contract,
      on: {
        order: (session, order) => {
          expect(order).type.toBe<Got>()
          session.send('order', { id: '1' })
          expect(session.send).type.not.toBeCallableWith('order', { id: 1 })
        },
        given: (_session, order) => { expect(order).type.toBe<Got>() }
      }
    })
    const live = connect<typeof contract>('/live')
    live.on('order', (order) => { expect(order).type.toBe<Got>() })
    live.on('given', (order) => { expect(order).type.toBe<Got>() })
    expect(live.emit).type.toBeCallableWith('order', { id: '1' })
    expect(live.emit).type.not.toBeCallableWith('order', { id: 1 })
    expect(live.emit).type.not.toBeCallableWith('given', { id: 1 })
  })
})

describe('ArkType', () => {
  const Order = type({ id: 'string.numeric.parse', count: 'number = 1' })
  const contract = defineContract({ events: { order: Order, size: type("'s' | 'm'") }, updates: { order: conflate(Order, (order) => order.id) } })

  test('is inferred on both sides', () => {
    app.tether.stateful('/live', {
      contract,
      on: {
        order: (session, order) => {
          expect(order).type.toBe<Got>()
          session.send('order', { id: '1' })
          expect(session.send).type.not.toBeCallableWith('order', { id: 1 })
        },
        size: (_session, size) => { expect(size).type.toBe<'s' | 'm'>() }
      }
    })
    const live = connect<typeof contract>('/live')
    live.on('order', (order) => { expect(order).type.toBe<Got>() })
    expect(live.emit).type.toBeCallableWith('order', { id: '1' })
    expect(live.emit).type.not.toBeCallableWith('order', { id: 1 })
    expect(live.emit).type.not.toBeCallableWith('size', 'l')
  })
})

describe('TypeBox 1', () => {
  const Order = T1.Object({ id: T1.Integer(), tags: T1.Optional(T1.Array(T1.String())), side: T1.Union([T1.Literal('buy'), T1.Literal('sell')]) })
  const Node = T1.Cyclic({ Node: T1.Object({ name: T1.String(), next: T1.Array(T1.Ref('Node')) }) }, 'Node')
  const contract = defineContract({
    events: { order: Order, pause: T1.Object({}), any: T1.Unsafe<{ a: 1 }>({ type: 'object' }), node: Node },
    updates: { order: Order, latest: conflate(Order, (order) => order.id), list: T1.Array(Order) }
  })
  interface Data { id: number, tags?: string[], side: 'buy' | 'sell' }

  test('is inferred on both sides', () => {
    app.tether.stateful('/live', {
      contract,
      on: {
        order: (session, order) => {
          expect(order).type.toBe<Data>()
          session.send('order', order)
          expect(session.send).type.not.toBeCallableWith('order', { id: '1', side: 'buy' })
          expect(session.send).type.toBeCallableWith('list', [{ id: 1, side: 'buy' }])
        },
        pause: () => {},
        any: (_session, data) => { expect(data).type.toBe<{ a: 1 }>() },
        node: (_session, node) => { expect(node.next[0]!.name).type.toBe<string>() }
      }
    })
    const live = connect<typeof contract>('/live')
    live.on('latest', (order) => { expect(order).type.toBe<Data>() })
    expect(live.emit).type.toBeCallableWith('order', { id: 1, side: 'sell' })
    expect(live.emit).type.not.toBeCallableWith('order', { id: 1, side: 'hold' })
    expect(live.emit).type.toBeCallableWith('pause')
  })
})

describe('one contract', () => {
  test('may mix libraries', () => {
    const contract = defineContract({
      events: { a: T0.Object({ n: T0.Number() }), b: z.object({ n: z.number() }), c: v.object({ n: v.number() }), d: type({ n: 'number' }), e: T1.Object({ n: T1.Number() }) },
      updates: { a: T0.Object({ n: T0.Number() }), b: z.object({ n: z.number() }), c: v.object({ n: v.number() }), d: type({ n: 'number' }), e: T1.Object({ n: T1.Number() }) }
    })
    expect(contract).type.toHaveProperty('events')
    expect<EventData<typeof contract.events['a' | 'b' | 'c' | 'd' | 'e']>>().type.toBe<{ n: number }>()
    expect<UpdateData<typeof contract.updates['a' | 'b' | 'c' | 'd' | 'e']>>().type.toBe<{ n: number }>()
    expect<UpdateOutput<typeof contract.updates['a' | 'b' | 'c' | 'd' | 'e']>>().type.toBe<{ n: number }>()
    for (const name of ['a', 'b', 'c', 'd', 'e'] as const) connect<typeof contract>('/live').on(name, (data) => { expect(data).type.toBe<{ n: number }>() })
  })

  test('takes no value that is no schema', () => {
    expect(defineContract).type.not.toBeCallableWith({ events: { a: (value: unknown) => value } })
    expect(defineContract).type.not.toBeCallableWith({ events: { a: { '~standard': true } } })
    expect(defineContract).type.not.toBeCallableWith({ updates: { a: Promise.resolve(z.string()) } })
    expect(conflate).type.not.toBeCallableWith(String)
  })
})
