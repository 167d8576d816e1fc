import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { defineContract, EventError, request, text, type Handler, type SessionOptions, type TetherOptions, type UpgradeOptions } from '../../../plugin/index.ts'
import { openReader, type Json, type Reader } from './reader.ts'
import { startServer, type Protocol, type Server } from './server.ts'
import { until } from './until.ts'

/** A contract with a request. */
export const contract = defineContract({
  events: {
    order: request(
      Type.Object({ article: Type.String(), count: Type.Optional(Type.Integer({ minimum: 1 })) }),
      Type.Object({ order: Type.Integer(), note: Type.Optional(Type.String({ pattern: '^[a-z ]*$' })) })
    ),
    hello: request(Type.Object({}), Type.String()),
    ping: Type.Object({})
  },
  updates: { note: Type.Object({ text: Type.String() }), row: text() }
})

export interface OrderOptions {
  live?: SessionOptions & { mode?: 'sse' | 'both' }
  tether?: TetherOptions
  upgrade?: UpgradeOptions
  protocol?: Protocol
  setup?: (app: FastifyInstance) => unknown
}

export interface Orders extends Server {
  readonly live: Handler<undefined, typeof contract.updates>
  /** What the handlers took, in order. */
  readonly taken: string[]
  /** What `onError` got: the command and the message. */
  readonly failures: Array<[command: string, message: string]>
  /** Settle the orders of `slow`, in order. */
  readonly gates: Array<(note: string) => void>
  /** Opens a stream, and waits for its hello. */
  open: (headers?: Record<string, string>, port?: number) => Promise<Reader>
}

/** Starts a server that takes orders. Each article has its own fate. */
export async function startOrders (t: Test, options: OrderOptions = {}): Promise<Orders> {
  const taken: string[] = []
  const failures: Array<[string, string]> = []
  const gates: Array<(note: string) => void> = []
  let live!: Orders['live']
  const server = await startServer(t, {
    ...options.tether === undefined ? {} : { tether: options.tether },
    ...options.protocol === undefined ? {} : { protocol: options.protocol },
    setup: async (app) => {
      await options.setup?.(app)
      const { mode = 'sse', ...limits } = options.live ?? {}
      live = app.tether.stateful('/live', {
        contract,
        ...limits,
        ...mode === 'both' ? { mode, fallback: app.tether.sse.upgrade(options.upgrade) } : { mode, upgrade: app.tether.sse.upgrade(options.upgrade) },
        onError: (_session, error, { command }) => { failures.push([command, (error as Error).message]) },
        on: {
          order: (session, { article, count }) => {
            taken.push(article)
            const reply = { order: taken.length }
            switch (article) {
              case 'slow': return new Promise<string>((resolve) => { gates.push(resolve) }).then((note) => ({ ...reply, note }))
              case 'sold out': throw new EventError('SOLD_OUT', 'There is none left', { left: 0 })
              case 'sold out later': return Promise.reject(new EventError('SOLD_OUT'))
              case 'by update': return session.update(() => { throw new EventError('SOLD_OUT') })
              case 'broken': throw new Error('a secret of the server')
              case 'broken later': return Promise.reject(new Error('a secret of the server'))
              case 'circular': {
                const data: { own?: unknown } = {}
                data.own = data
                throw new EventError('SOLD_OUT', 'There is none left', data)
              }
              case 'no reply': return undefined as never
              case 'wrong type': return { order: 'first' } as never
              case 'wrong number': return { order: 1.5 }
              case 'wrong note': return { ...reply, note: 'A1' }
              case 'large': return { ...reply, note: 'x'.repeat(count ?? 1) }
              default: return { ...reply, secret: 'unknown to the schema' }
            }
          },
          hello: () => 'hello "you"',
          ping: () => { taken.push('ping') }
        }
      })
    }
  })
  return {
    ...server,
    live,
    taken,
    failures,
    gates,
    open: async (headers = { 'x-tether-session': 'new' }, port = server.port) => {
      const reader = await openReader(server, '/live', { headers, port })
      await until(() => reader.controls.length > 0, 'the hello')
      return reader
    }
  }
}

/** The replies that a reader has, in order. */
export function repliesOf (reader: Reader): Json[] {
  return reader.updates.filter(({ event }) => event === 'tether.reply').map(({ data }) => JSON.parse(data!) as Json)
}
