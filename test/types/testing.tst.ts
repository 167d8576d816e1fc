import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import { connectInjected, type InjectedConnection } from '../../client/injected.ts'
import type { Connection } from '../../client/index.ts'
import { testSession, type SentUpdate } from '../../plugin/entries/testing.ts'
import { conflate, defineContract, text, type Handler, type Session, type StatefulConfig, type Transport, type Verdict } from '../../plugin/index.ts'

const contract = defineContract({
  events: { say: Type.Object({ text: Type.String() }), pause: Type.Object({}) },
  updates: { said: Type.Object({ text: Type.String() }), n: conflate(Type.Object({ n: Type.Integer() })), row: text() }
})
type Events = typeof contract.events
type Updates = typeof contract.updates

describe('testSession', () => {
  const config: StatefulConfig<Events, Updates, { name: string }> = { contract, initialState: () => ({ name: 'x' }), on: { say: () => {}, pause: () => {} } }
  const { session, live, dispatch, sent, connect, advance, other } = testSession(config, { state: { name: 'Ada' } })

  test('has the types of the configuration', () => {
    expect(session).type.toBe<Session<{ name: string }, Updates>>()
    expect(live).type.toBe<Handler<{ name: string }, Updates>>()
    expect(sent).type.toBe<Array<SentUpdate<Updates>>>()
    expect(sent[0]!).type.toBe<{ name: 'said', data: { text: string } } | { name: 'n', data: { n: number } } | { name: 'row', data: string }>()
    expect(connect('gap')).type.toBe<Promise<Verdict>>()
    expect(advance(5)).type.toBe<Promise<void>>()
    expect(other().session).type.toBe<Session<{ name: string }, Updates>>()
  })

  test('dispatch takes the events of the contract', () => {
    expect(dispatch('say', { text: 'x' })).type.toBe<Promise<unknown>>()
    expect(dispatch).type.toBeCallableWith('pause')
    expect(dispatch).type.not.toBeCallableWith('say')
    expect(dispatch).type.not.toBeCallableWith('say', { text: 5 })
    expect(dispatch).type.not.toBeCallableWith('none')
  })

  test('the state has its type, and that of a configuration in place is inferred', () => {
    expect(testSession(config, {})).type.toBe<typeof testSession extends (...given: any) => any ? ReturnType<typeof testSession<Events, Updates, { name: string }>> : never>()
    expect(testSession).type.not.toBeCallableWith(config, { state: { name: 5 } })
    testSession({
      contract,
      initialState: () => ({ count: 0 }),
      on: {
        say: (session, data) => {
          expect(session.state.count).type.toBe<number>()
          expect(data.text).type.toBe<string>()
        },
        pause: () => {}
      }
    })
  })
})

describe('connectInjected', () => {
  test('takes any application of Fastify, and has the types of its contract', async () => {
    const live = connectInjected<typeof contract>(Fastify(), '/live', { retryMs: 5 })
    expect(live).type.toBe<InjectedConnection<typeof contract>>()
    expect(live).type.toBeAssignableTo<Connection<typeof contract>>()
    expect(connectInjected(Fastify({ http2: true }), '/live').cut).type.toBe<() => void>()
    expect(connectInjected).type.not.toBeCallableWith(Fastify(), '/live', { fetch })
    expect(connectInjected).type.not.toBeCallableWith({}, '/live')
  })
})

describe('sendAll', () => {
  test('infers its items', () => {
    const stream = {} as Transport
    expect(stream.sendAll(['a'])).type.toBe<Promise<boolean>>()
    stream.sendAll([1, 2], {
      map: (item, index) => {
        expect(item).type.toBe<number>()
        expect(index).type.toBe<number>()
        return { data: item }
      }
    })
    stream.sendAll((async function * () { yield { token: 'x' } })(), { map: async ({ token }) => token })
    expect(stream.sendAll<string>).type.not.toBeCallableWith(['a'], { map: () => 5 })
    expect(stream.sendAll).type.not.toBeCallableWith(5)
    expect(stream.signal).type.toBe<AbortSignal>()
  })
})
