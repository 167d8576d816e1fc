import { Type } from '@sinclair/typebox'
import type { Test } from 'tap'
import { conflate, defineContract, text, topic, type Session, type TetherOptions } from '../../../plugin/index.ts'
import type { StatefulConfig } from '../../../plugin/routes/stateful-config.ts'
import type { EventBlock } from '../../../plugin/entries/contract-tests/event-block.ts'
import { openReader, type Reader, type ReaderOptions } from './reader.ts'
import { post, type Answer } from './request.ts'
import { startServer, type Server } from './server.ts'
import { until } from './until.ts'

export const contract = defineContract({
  events: { say: Type.Object({ text: Type.String() }) },
  updates: { note: Type.String() },
  topics: {
    host: topic({
      params: Type.Object({ id: Type.String(), zone: Type.Optional(Type.String()) }),
      updates: {
        cpu: conflate(Type.Object({ core: Type.Integer(), v: Type.Number() }), ({ core }) => core),
        alert: text(),
        log: Type.String()
      }
    }),
    page: topic({
      params: Type.Object({ size: Type.Integer({ default: 10 }), dark: Type.Boolean({ default: false }) }),
      updates: { row: conflate(Type.String()) }
    }),
    all: topic({ updates: { tick: conflate(Type.Integer()) } })
  }
})

export type TopicsConfig = Partial<StatefulConfig<typeof contract.events, typeof contract.updates, unknown, NonNullable<typeof contract.topics>>>

export interface TopicServer extends Server {
  live: ReturnType<typeof mount>
  /** Opens a stream that counts, and waits for its hello. */
  open: (path?: string, options?: ReaderOptions) => Promise<TopicReader>
}

export interface TopicReader {
  reader: Reader
  session: Session<any, any>
  /** Posts events, and numbers them. */
  send: (...events: Array<[event: string, data: unknown]>) => Promise<Answer>
  subscribe: (topic: string, params?: object) => Promise<Answer>
  unsubscribe: (topic: string, params?: object) => Promise<Answer>
  /** Name and data of each update so far. */
  seen: () => Array<[string, unknown]>
  /** Waits for an outcome of this name, and returns all updates so far. */
  told: (name: string, times?: number) => Promise<Array<[string, unknown]>>
  outcomes: () => Array<Record<string, unknown>>
}

function mount (app: Server['app'], config: TopicsConfig) {
  return app.tether.stateful('/live', { contract, on: { say: () => {} }, ...config } as StatefulConfig<typeof contract.events, typeof contract.updates, unknown, NonNullable<typeof contract.topics>>)
}

/** Starts a server with sessions at `/live` whose contract has topics. */
export async function startTopics (t: Pick<Test, 'teardown'>, config: TopicsConfig = {}, tether: TetherOptions = {}, setup: (app: Server['app']) => unknown = () => {}): Promise<TopicServer> {
  let live!: ReturnType<typeof mount>
  const server = await startServer(t, {
    tether,
    setup: async (app) => {
      await setup(app)
      live = mount(app, config)
    }
  })
  return { ...server, live, open: (path, options) => openTopics(server, live, path, options) }
}

async function openTopics (server: Server, live: { get: (id: string) => Session<any, any> | undefined }, path = '/live', options: ReaderOptions = {}): Promise<TopicReader> {
  const reader = await openReader(server, path, { headers: { 'x-tether-session': 'new' }, ...options })
  await until(() => reader.controls.length > 0, 'the hello frame')
  const session = await until(() => live.get(reader.session), 'the session')
  let seq = Number(reader.controls[0]!.accepted ?? 0)
  const send: TopicReader['send'] = async (...events) => {
    const envelopes = events.map(([event, data]) => ({ event, data, seq: ++seq }))
    const answer = await post(server, reader.session, envelopes.length === 1 ? envelopes[0] : envelopes)
    // The same numbers are for the next ones.
    if (answer.status === 503) seq -= events.length
    return answer
  }
  const seen = () => reader.updates.map(dataOf)
  const outcomes = () => seen().filter(([name]) => name === 'tether.topic').map(([, data]) => data as Record<string, unknown>)
  return {
    reader,
    session,
    send,
    subscribe: (topic, params) => send(['tether.subscribe', { topic, ...params === undefined ? {} : { params } }]),
    unsubscribe: (topic, params) => send(['tether.unsubscribe', { topic, ...params === undefined ? {} : { params } }]),
    seen,
    outcomes,
    told: async (name, times = 1) => {
      await until(() => outcomes().filter((outcome) => outcome.name === name).length >= times, `the outcome of ${name}`)
      return seen()
    }
  }
}

function dataOf ({ event, data }: EventBlock): [string, unknown] {
  return [event!, event!.startsWith('alert@') ? data : JSON.parse(data!)]
}
