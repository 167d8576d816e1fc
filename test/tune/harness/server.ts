// A server with a known limit, in a process of its own. Its settings come as JSON on the command line.
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { defineContract, type Session } from '../../../plugin/index.ts'
import type { LimitedServer } from './limited-server.ts'

const settings = JSON.parse(process.argv[2]!) as LimitedServer
const { cpuMs = 0, waitMs = 0, pool = Infinity, leakBytes = 0, updates = 0, updateBytes = 100, writeBuffer = 4, sendsWithin = false, lineMs = 0, maxSessions = 10_000, leakBytesPerSession = 0, fullHeapMegabytes = 0, cpuMsPerSession = 0, maxSessionsPerOwner, rateLimitAfter = Infinity, failEvery = Infinity, hangAfter = Infinity, broadcastsPerSecond = 0, hasFigures = true, failAfter = Infinity, commandBuffer = 64, token, swagger = false, mode = 'sse' } = settings

const contract = defineContract({
  events: { work: Type.Object({ n: Type.Integer({ minimum: 3 }) }, { additionalProperties: false }), idle: Type.Object({}) },
  updates: { row: Type.Object({ text: Type.String() }), all: Type.Object({ at: Type.Number() }) }
})

const text = 'x'.repeat(updateBytes)
const kept: string[] = []
const waiting: Array<() => void> = []
let running = 0
let handled = 0

async function enter (): Promise<void> {
  if (running >= pool) await new Promise<void>((resolve) => waiting.push(resolve))
  running += 1
}

function leave (): void {
  running -= 1
  waiting.shift()?.()
}

function spin (milliseconds: number): void {
  const until = performance.now() + milliseconds
  while (performance.now() < until);
}

async function work (session: Session<unknown, typeof contract.updates>): Promise<void> {
  handled += 1
  if (leakBytes > 0) kept.push(Buffer.alloc(leakBytes, `${handled}`).toString('latin1'))
  if (handled > hangAfter) await new Promise((resolve) => setTimeout(resolve, 10_000))
  if (cpuMs > 0) spin(cpuMs)
  if (cpuMsPerSession > 0) spin(cpuMsPerSession * live.stats.connected)
  if (fullHeapMegabytes > 0) litter()
  if (pool < Infinity) await enter()
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
  if (pool < Infinity && !sendsWithin) leave()
  for (let sent = 0; sent < updates; sent += 1) await session.send('row', { text })
  if (pool < Infinity && sendsWithin) leave()
}

/** Some 930 KB of small objects. */
const batch = (): object[] => Array.from({ length: 12_000 }, (_, index) => ({ index, next: { index } }))
/** All but some 35 MB of the heap. */
const objects = Array.from({ length: Math.max(0, Math.floor((fullHeapMegabytes - 35) / 0.93)) }, batch)
/** Replaces some of them. */
function litter (): void {
  objects[handled % objects.length] = batch()
}

const app = Fastify({ http2: settings.http2 === true } as object)
if (token !== undefined) {
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers.authorization !== token) return await reply.code(401).send({})
  })
}
let posts = 0
if (failAfter !== Infinity || failEvery !== Infinity) {
  app.addHook('onRequest', async (request, reply) => {
    if (request.method === 'POST' && (++posts > failAfter || posts % failEvery === 0)) return await reply.code(500).send({})
  })
}
if (rateLimitAfter !== Infinity) {
  app.addHook('onRequest', async (request, reply) => {
    if (request.method === 'POST' && ++posts > rateLimitAfter) return await reply.code(429).send({ statusCode: 429, error: 'Too Many Requests' })
  })
}
if (swagger) await app.register((await import('@fastify/swagger')).default, { openapi: { openapi: '3.1.0', info: { title: 'test', version: '1' } } })
if (mode === 'websocket') await app.register((await import('@fastify/websocket')).default)
if (lineMs > 0) {
  app.server.on('connection', (socket) => {
    for (const name of ['_write', '_writev'] as const) {
      const write = socket[name]?.bind(socket) as ((...given: unknown[]) => void) | undefined
      if (write === undefined) continue
      socket[name] = (...given: unknown[]) => {
        const done = given.pop() as (error?: Error) => void
        write(...given, (error?: Error) => setTimeout(done, lineMs, error))
      }
    }
  })
}
await app.register(tether, { maxSessions, ...maxSessionsPerOwner === undefined ? {} : { maxSessionsPerOwner, bind: () => 'one' }, ...hasFigures ? { tuning: { authorize: () => true } } : {} })
const onConnect = (): void => { if (leakBytesPerSession > 0) kept.push(Buffer.alloc(leakBytesPerSession, `${kept.length}`).toString('latin1')) }
const config = { contract, commandBuffer, on: { work, idle: () => {} }, onConnect }
const live = mode === 'websocket'
  ? app.tether.stateful('/live', { ...config, mode, upgrade: app.tether.websocket.upgrade({ writeBuffer }) })
  : app.tether.stateful('/live', { ...config, upgrade: app.tether.sse.upgrade({ writeBuffer, stallTimeoutMs: 0 }) })
if (swagger) app.get('/openapi.json', async () => app.swagger())
if (broadcastsPerSecond > 0) setInterval(() => live.broadcast('all', { at: performance.now() }), 1_000 / broadcastsPerSecond)
const origin = await app.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 })
process.send!({ origin })
process.on('disconnect', () => process.exit(0))
