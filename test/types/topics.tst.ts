import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import * as z from 'zod'
import { connect, type Subscription, type TopicName } from '../../client/index.ts'
import tether, { conflate, defineContract, text, topic, type Handler, type LiveTopic, type TopicConfig } from '../../plugin/index.ts'

const Cpu = Type.Object({ core: Type.Integer(), v: Type.Number() })

const contract = defineContract({
  updates: { note: Type.String() },
  topics: {
    host: topic({ params: Type.Object({ id: Type.String(), zone: Type.Optional(Type.String()) }), updates: { cpu: conflate(Cpu, (cpu) => cpu.core), alert: text() } }),
    page: topic({ params: z.object({ size: z.number().default(10) }), updates: { at: z.date() } }),
    all: topic({ updates: { tick: Type.Integer() } })
  }
})

const app = Fastify()
await app.register(tether)

const live = app.tether.stateful('/live', {
  contract,
  initialState: () => ({ user: 'u' }),
  topics: {
    host: {
      authorize: (session, params) => {
        expect(session.state).type.toBe<{ user: string }>()
        expect(params).type.toBe<{ zone?: string, id: string }>()
        return true
      },
      start: ({ id }, { publish, signal }) => {
        expect(id).type.toBe<string>()
        expect(signal).type.toBe<AbortSignal>()
        expect(publish('cpu', { core: 1, v: 2 })).type.toBe<number>()
        expect(publish).type.toBeCallableWith('alert', 'x')
        expect(publish).type.not.toBeCallableWith('alert', 1)
        expect(publish).type.not.toBeCallableWith('gpu', 1)
      },
      lingerMs: 1
    },
    page: {
      authorize: async (_session, { size }) => { expect(size).type.toBe<number>() }
    }
  },
  onConnect: (_session, { live }) => {
    expect(live.topic('all').publish('tick', 1)).type.toBe<number>()
  }
})

describe('the server', () => {
  test('topics are typed by the contract', () => {
    const host = live.topic('host', { id: 'a' })
    expect(host).type.toBe<LiveTopic<NonNullable<typeof contract.topics>['host']['updates']>>()
    expect(host.publish).type.toBeCallableWith('cpu', { core: 0, v: 1 })
    expect(host.publish).type.not.toBeCallableWith('cpu', { core: 0 })
    expect(host.publish).type.not.toBeCallableWith('tick', 1)
    expect(live.topic).type.not.toBeCallableWith('host', {})
    expect(live.topic).type.not.toBeCallableWith('host')
    expect(live.topic).type.not.toBeCallableWith('hosts', { id: 'a' })
    expect(live.topic).type.toBeCallableWith('page')
    expect(live.topic).type.toBeCallableWith('page', { size: 1 })
    expect(live.topic).type.toBeCallableWith('all')
  })

  test('the configuration knows the topics of the contract', () => {
    expect(app.tether.stateful).type.not.toBeCallableWith('/other', { contract, topics: { hosts: {} } })
    expect(app.tether.stateful).type.not.toBeCallableWith('/other', { contract, topics: { host: { lingerMs: '1' } } })
    expect<TopicConfig<any, any, any>>().type.toBeAssignableFrom<{ run: 'cluster' }>()
    expect<TopicConfig<any, any, any>>().type.not.toBeAssignableFrom<{ run: 'process' }>()
  })

  test('a function of any topics takes the handler', () => {
    const take = (_handler: Handler<{ user: string }, typeof contract.updates>) => {}
    take(live)
  })
})

describe('the client', () => {
  const page = connect<typeof contract>('/live')

  test('parameters and updates are typed by the contract', () => {
    const host = page.subscribe('host', { id: 'a' })
    host.on('cpu', (cpu) => { expect(cpu).type.toBe<{ core: number, v: number }>() })
    host.on('alert', (alert) => { expect(alert).type.toBe<string>() })
    expect(host.on).type.not.toBeCallableWith('tick', () => {})
    expect(host.ready).type.toBe<Promise<void>>()
    page.subscribe('page').on('at', (at) => { expect(at).type.toBe<string>() })
    page.subscribe('all')
    expect(page.subscribe).type.not.toBeCallableWith('host')
    expect(page.subscribe).type.not.toBeCallableWith('host', { id: 1 })
    expect(page.subscribe).type.not.toBeCallableWith('hosts')
    expect<TopicName<typeof contract>>().type.toBe<'host' | 'page' | 'all'>()
    expect(host).type.toBeAssignableTo<Subscription>()
  })

  test('without a contract, any topic', () => {
    connect('/live').subscribe('host', { id: 'a' }).on('cpu', (cpu) => { expect(cpu).type.toBe<unknown>() })
  })
})

describe('topic()', () => {
  test('refuses names that cannot be used', () => {
    expect(defineContract).type.not.toBeCallableWith({ topics: { 'tether.x': topic({ updates: {} }) } })
    expect(defineContract).type.not.toBeCallableWith({ topics: { host: Type.String() } })
    expect(topic).type.not.toBeCallableWith({ updates: { 'a b': text() } })
    expect(topic).type.not.toBeCallableWith({})
  })
})
