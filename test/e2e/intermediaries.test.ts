import { spawn } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createGzip, gunzipSync } from 'node:zlib'
import awsLambda from '@fastify/aws-lambda'
import express from '@fastify/express'
import middie from '@fastify/middie'
import compression from 'compression'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import tether from '../../plugin/index.ts'
import { contract, silent } from './harness/contract.ts'
import { parseBlocks } from '../../plugin/entries/contract-tests/event-block.ts'
import { openReader } from './harness/reader.ts'
import { post, readWhole } from './harness/request.ts'
import { startServer } from './harness/server.ts'
import { turns, until, within } from './harness/until.ts'

type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void

const rows = Array.from({ length: 40 }, (_, number) => `${number} ${String.fromCharCode(97 + number % 26).repeat(3_000)}`)

/** Mounts a session that gets rows in several turns of the event loop, and ends. */
function mountRows (app: FastifyInstance, url = '/live'): void {
  app.tether.stateful(url, {
    contract,
    on: silent,
    queueFrames: 10_000,
    onConnect: async (session) => {
      for (const row of rows) {
        session.send('row', row)
        await turns(1)
      }
      session.close('enough')
    }
  })
}

function rowsOf (text: string): Array<string | undefined> {
  return parseBlocks(text).filter(({ event }) => event === 'row').map(({ data }) => data)
}

/** A middleware that sees all bytes of a response's body, in calls of `write` and `end`. */
function observed (seen: Buffer[]): Middleware {
  return (_request, response, next) => {
    const write = response.write as (...args: unknown[]) => boolean
    response.write = function (this: ServerResponse, ...args: unknown[]) {
      seen.push(Buffer.from(args[0] as string, args[1] as BufferEncoding))
      return write.apply(this, args)
    } as ServerResponse['write']
    next()
  }
}

/** Compresses whatever goes through it, as middlewares do, and writes its own bytes to the response. */
const compressing: Middleware = (_request, response, next) => {
  const gzip = createGzip()
  const write = response.write.bind(response)
  const end = response.end.bind(response)
  const { writeHead } = response
  response.writeHead = function (this: ServerResponse, status: number) {
    this.setHeader('content-encoding', 'gzip')
    return writeHead.call(this, status)
  } as ServerResponse['writeHead']
  response.write = ((piece: string, encoding: BufferEncoding) => gzip.write(piece, encoding)) as ServerResponse['write']
  response.end = (() => gzip.end()) as unknown as ServerResponse['end']
  Object.assign(response, { flush: () => gzip.flush() })
  gzip.on('data', (bytes: Buffer) => { write(bytes) })
  gzip.on('drain', () => { response.emit('drain') })
  gzip.on('end', () => { end() })
  next()
}

for (const [name, plugin] of [['middie', middie], ['express', express]] as const) {
  let finishKept = () => {}
  const withMiddleware = (t: Parameters<typeof startServer>[0], ...middlewares: Middleware[]) => startServer(t, {
    setup: async (app) => {
      await app.register(plugin as never)
      for (const middleware of middlewares) (app as unknown as { use: (middleware: Middleware) => void }).use(middleware)
      mountRows(app)
      const upgrade = app.tether.sse.upgrade()
      app.get('/plain', async (request, reply) => {
        const transport = await upgrade(request, reply)
        for (const row of rows) {
          transport.send({ event: 'row', data: row })
          await turns(1)
        }
        await transport.close()
      })
      app.get('/kept', async (request, reply) => {
        const transport = await upgrade(request, reply)
        transport.send({ data: 'first' })
        // The handler is done; the stream is not.
        finishKept = () => {
          transport.send({ data: 'second' })
          transport.close()
        }
      })
    }
  })

  t.test(`@fastify/${name} without a middleware: a stream, events, and a handler that ends before its stream`, async (t) => {
    const server = await withMiddleware(t)
    const reader = await openReader(server)
    t.equal(reader.status, 200)
    await until(() => reader.controls.length > 0, 'the hello frame')
    t.equal((await post(server, reader.session, { event: 'ping', data: {} })).status, 202)
    await until(() => reader.ended, 'the end')
    t.same(reader.updates.map(({ data }) => data), rows)
    t.same(rowsOf((await readWhole(server, '/plain')).text), rows)
    const kept = await openReader(server, '/kept')
    await until(() => kept.updates.length > 0, 'the first update')
    finishKept()
    await until(() => kept.ended, 'its end')
    t.same(kept.updates.map(({ data }) => data), ['first', 'second'])
    t.equal((await readWhole(server, '/live', { accept: 'text/html' })).status, 406)
    t.same(server.log.filter(({ level }) => level >= 40), [])
  })

  t.test(`@fastify/${name}: a middleware that watches the response sees every byte`, async (t) => {
    for (const path of ['/live', '/plain']) {
      const seen: Buffer[] = []
      const server = await withMiddleware(t, observed(seen))
      const { text } = await readWhole(server, path)
      t.same(rowsOf(text), rows, path)
      t.equal(Buffer.concat(seen).toString(), text, `${path}: the same bytes`)
    }
  })

  t.test(`@fastify/${name}: a middleware that compresses gets every byte, and the client each update at once`, async (t) => {
    const server = await withMiddleware(t, compressing)
    const reader = await openReader(server)
    t.equal(reader.headers['content-encoding'], 'gzip')
    await until(() => reader.ended, 'the end')
    t.same(reader.updates.map(({ data }) => data), rows)
    const kept = await openReader(server, '/kept')
    await until(() => kept.updates.length > 0, 'the first update')
    finishKept()
    await until(() => kept.ended, 'the end')
    t.same(kept.updates.map(({ data }) => data), ['first', 'second'])
  })

  // On @fastify/express that package breaks whatever is written in more than one piece.
  if (name === 'middie') {
    t.test('@fastify/middie and the compression package: our gzip, or none', async (t) => {
      const server = await withMiddleware(t, compression() as unknown as Middleware)
      for (const accepted of ['gzip', 'br', 'identity']) {
        const { headers, text } = await readWhole(server, '/live', { 'accept-encoding': accepted })
        t.equal(headers['content-encoding'], accepted === 'gzip' ? 'gzip' : undefined)
        t.same(rowsOf(text), rows, accepted)
      }
      t.same(server.errors(), [])
    })
  }
}

t.test('an agent that changed Node\'s own methods before the library was loaded sees every byte', async (t) => {
  for (const owner of ['ServerResponse', 'OutgoingMessage']) {
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL('harness/agent-server.ts', import.meta.url)), owner], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill('SIGKILL'))
    const [sent, seen] = (await within(textOf(child.stdout), 'the child')).trim().split(' ')
    t.ok(Number(sent) > 10_000, `${owner}: ${sent} bytes were sent`)
    t.equal(seen, sent)
  }
})

async function injected (t: Parameters<typeof startServer>[0]): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(tether, {})
  mountRows(app)
  const upgrade = app.tether.sse.upgrade({ compression: { own: 'all', encodings: ['br', 'gzip'] } })
  app.get('/plain', async (request, reply) => {
    const transport = await upgrade(request, reply)
    for (const row of rows) {
      await transport.send({ event: 'row', data: row })
      await turns(1)
    }
    await transport.close()
  })
  await app.ready()
  return app
}

t.test('app.inject gets every update, as a whole and as a stream', async (t) => {
  const app = await injected(t)
  for (const url of ['/live', '/plain']) {
    const whole = await app.inject({ url, headers: { accept: 'text/event-stream' } })
    t.equal(whole.statusCode, 200)
    t.same(rowsOf(whole.payload), rows, url)
    const streamed = await app.inject({ url, headers: { accept: 'text/event-stream' }, payloadAsStream: true })
    t.same(rowsOf(await within(textOf(streamed.stream()), 'the end')), rows, `${url} as a stream`)
    const zipped = await app.inject({ url, headers: { accept: 'text/event-stream', 'accept-encoding': 'br, gzip' } })
    t.equal(zipped.headers['content-encoding'], 'gzip')
    t.same(rowsOf(gunzipSync(zipped.rawPayload).toString()), rows, `${url} compressed`)
  }
})

t.test('app.inject that nobody reads from stalls, and goes on when it is read', async (t) => {
  const app = await injected(t)
  let sent = 0
  let isBlocked = false
  const other = Fastify()
  t.teardown(() => other.close())
  await other.register(tether, {})
  const upgrade = other.tether.sse.upgrade()
  other.get('/plain', async (request, reply) => {
    const transport = await upgrade(request, reply)
    while (sent < 200) {
      const granted = transport.send({ data: 'x'.repeat(10_000) })
      sent++
      const timer = setTimeout(() => { isBlocked = true }, 200)
      await granted
      clearTimeout(timer)
      await turns(1)
    }
    await transport.close()
  })
  const { stream } = await other.inject({ url: '/plain', payloadAsStream: true }) as unknown as { stream: () => Readable }
  const readable = stream()
  await until(() => isBlocked, 'a blocked send')
  t.ok(sent < 20, `${sent} updates of 10,000 bytes were taken by nobody`)
  const text = await within(textOf(readable), 'the rest')
  t.equal(parseBlocks(text).filter(({ data }) => data !== undefined).length, 200)
  await app.close()
})

t.test('@fastify/aws-lambda with payloadAsStream gets the whole stream', async (t) => {
  for (const headers of [{}, { 'accept-encoding': 'gzip' }, { 'accept-encoding': 'br' }] as Array<Record<string, string>>) {
    for (const rawPath of ['/live', '/plain']) {
      const app = await injected(t)
      const proxy = awsLambda(app, { payloadAsStream: true, decorateRequest: false })
      const { meta, stream } = await proxy({ version: '2.0', rawPath, requestContext: { http: { method: 'GET' } }, headers: { accept: 'text/event-stream', ...headers } } as never, {} as never) as unknown as { meta: { statusCode: number, headers: Record<string, string> }, stream: Readable }
      t.equal(meta.statusCode, 200)
      const bytes: Buffer[] = []
      await within((async () => { for await (const piece of stream) bytes.push(Buffer.from(piece)) })(), 'the end')
      const body = Buffer.concat(bytes)
      const text = meta.headers['content-encoding'] === 'gzip' ? gunzipSync(body).toString() : body.toString()
      t.same(rowsOf(text), rows, `${rawPath} ${JSON.stringify(headers)}`)
    }
  }
})
