import { PassThrough, Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { startLive } from './harness/live.ts'
import { openReader, startReader } from './harness/reader.ts'
import { readWhole } from './harness/request.ts'
import { protocols, startServer, type Server } from './harness/server.ts'
import { turns, until, within } from './harness/until.ts'

/** Mounts a plain route whose outcomes are noted. */
function mountPlain (app: FastifyInstance): Array<string | undefined> {
  const outcomes: Array<string | undefined> = []
  const upgrade = app.tether.sse.upgrade()
  app.get('/plain', async (request, reply) => {
    try {
      const transport = await upgrade(request, reply)
      outcomes.push('open')
      await transport.send({ data: 'first' })
    } catch (error) {
      outcomes.push((error as { code?: string }).code)
    }
  })
  return outcomes
}

function nothingLeft (server: Server): { sessions: number, streams: number, bufferedBytes: number } {
  const { sessions, streams, bufferedBytes } = server.app.tether.stats()
  return { sessions, streams, bufferedBytes }
}

const nothing = { sessions: 0, streams: 0, bufferedBytes: 0 }

for (const protocol of protocols) {
  t.test(`${protocol}: onResponse on a clean end, onRequestAbort when the client leaves`, async (t) => {
    const seen: string[] = []
    const server = await startLive(t, {
      protocol,
      live: {
        reconnectMs: 0,
        onDisconnect: (_session, reason) => { seen.push(`disconnected: ${reason}`) },
        onClose: (_session, reason) => { seen.push(`closed: ${reason}`) }
      },
      setup: (app) => {
        app.addHook('onResponse', async (_request, reply) => { seen.push(`response ${reply.statusCode}`) })
        app.addHook('onRequestAbort', async (_request) => { seen.push('abort') })
        mountPlain(app)
      }
    })
    const first = await server.connect()
    await within(first.session.close(), 'close()')
    await until(() => first.reader.closed && seen.length >= 3, 'the end')
    t.ok(first.reader.ended, 'a proper end')
    t.same(seen.splice(0).sort(), ['closed: closed', 'disconnected: closed', 'response 200'])

    const second = await server.connect()
    second.reader.destroy()
    const whenLeft = protocol === 'http/1.1' ? ['abort'] : ['abort', 'response 200']
    await until(() => seen.length >= whenLeft.length + 2, 'the hooks')
    await turns(50)
    t.same(seen.splice(0).sort(), [...whenLeft, 'closed: reconnect-timeout', 'disconnected: client'].sort())

    const plain = await openReader(server, '/plain')
    await until(() => plain.updates.length === 1, 'the first frame')
    plain.destroy()
    await until(() => seen.length >= whenLeft.length, 'the hooks')
    await turns(50)
    t.same(seen.sort(), whenLeft)
    t.same(server.errors(), [], 'nothing is logged as an error')
    t.same(server.log.filter((record) => /premature/.test(record.msg)), [], 'nor as a body that broke off')
    t.same(nothingLeft(server), nothing)
  })

  t.test(`${protocol}: a hook that replaces the payload, fails or ends the reply leaves no session`, async (t) => {
    const hooks: Array<[string, (app: FastifyInstance) => void, number, string | RegExp]> = [
      ['replaces it with text', (app) => {
        app.addHook('onSend', async () => 'replaced')
      }, 200, 'replaced'],
      ['replaces it late', (app) => {
        app.addHook('onSend', async (_request, reply) => {
          await turns(5)
          reply.code(418).removeHeader('content-type')
          return 'late'
        })
      }, 418, 'late'],
      ['replaces it with another stream', (app) => {
        app.addHook('onSend', async () => Readable.from(['other ', 'stream']))
      }, 200, 'other stream'],
      ['throws', (app) => {
        app.addHook('onSend', async (_request, reply) => {
          if (reply.statusCode === 200) throw new Error('the hook failed')
        })
      }, 500, /the hook failed/],
      ['pipes it elsewhere', (app) => {
        app.addHook('onSend', async (_request, reply, payload) => {
          await turns(5)
          return reply.statusCode === 200 ? (payload as Readable).pipe(new PassThrough()) : payload
        })
      }, 500, /FST_ERR_TETHER_STREAM_PIPED/],
      ['ends the response itself', (app) => {
        app.addHook('onSend', async (_request, reply) => {
          reply.hijack()
          reply.raw.writeHead(202)
          reply.raw.end('taken over')
        })
      }, 202, 'taken over']
    ]
    for (const [what, install, status, body] of hooks) {
      let outcomes: Array<string | undefined> = []
      let states = 0
      const events: string[] = []
      const server = await startLive(t, {
        protocol,
        live: {
          initialState: () => { states++ },
          onConnect: () => { events.push('connected') },
          onDisconnect: () => { events.push('disconnected') },
          onClose: () => { events.push('closed') }
        },
        setup: (app) => {
          install(app)
          outcomes = mountPlain(app)
        }
      })
      for (const path of ['/live', '/plain']) {
        const answer = await readWhole(server, path)
        t.equal(answer.status, status, `a hook ${what}, ${path}`)
        if (typeof body === 'string') t.equal(answer.text, body)
        else t.match(answer.text, body)
        await until(() => server.app.tether.stats().sessions === 0, 'the session to go')
        t.same(nothingLeft(server), nothing)
      }
      await until(() => outcomes.length === 1, 'the outcome of upgrade()')
      t.same(outcomes, ['FST_ERR_TETHER_STREAM_ABORTED'])
      t.equal(states, 1)
      t.same(events, [], 'no hook of a session that never was')
      // Fastify itself reports the hook that threw.
      t.same(server.errors().filter((record) => !/the hook failed|onSend hook pipes/.test(record.err?.message ?? '')), [])
    }
  })

  t.test(`${protocol}: a hook or handler that refuses comes before the session`, async (t) => {
    for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const) {
      let states = 0
      const server = await startLive(t, {
        protocol,
        live: { initialState: () => { states++ } },
        setup: (app) => {
          // The hooks' types differ in what they get, which this one does not look at.
          app.addHook(hook as 'onRequest', async (_request, reply) => reply.code(401).send({ refused: true }))
        }
      })
      const answer = await readWhole(server)
      t.equal(answer.status, 401, hook)
      t.same(answer.json, { refused: true })
      t.equal(states, 0)
      t.same(nothingLeft(server), nothing)
    }
  })

  t.test(`${protocol}: initialState that throws gives the request its error, and leaves no session`, async (t) => {
    const server = await startLive(t, {
      protocol,
      live: {
        initialState: async (request) => {
          await turns()
          throw Object.assign(new Error('no state for you'), { statusCode: Number((request.query as { status: string }).status) })
        }
      }
    })
    for (const status of [403, 500]) {
      const answer = await readWhole(server, `/live?status=${status}`)
      t.equal(answer.status, status)
      t.equal(answer.json.message, 'no state for you')
      t.same(nothingLeft(server), nothing)
    }
  })

  t.test(`${protocol}: Fastify's handlerTimeout does not cut a stream`, async (t) => {
    const handlerTimeout = 100
    const server = await startLive(t, {
      protocol,
      fastify: { handlerTimeout },
      setup: (app) => {
        app.get('/slow', async () => { await new Promise(() => {}) })
      }
    })
    const startedAt = performance.now()
    const { reader, session } = await server.connect()
    t.equal((await readWhole(server, '/slow')).status, 503, 'which it does with other requests')
    await until(() => performance.now() - startedAt > 4 * handlerTimeout, 'the time to pass')
    session.send('note', { text: 'still open' })
    await until(() => reader.updates.length === 1, 'an update')
    t.notOk(reader.closed)
  })

  t.test(`${protocol}: a client that leaves at any time is no error`, async (t) => {
    let waiting = 0
    let release = () => {}
    const gate = new Promise<void>((resolve) => { release = resolve })
    let outcomes: Array<string | undefined> = []
    const server = await startLive(t, {
      protocol,
      live: {
        initialState: async (request) => {
          if (request.headers['x-wait'] !== 'initialState') return
          waiting++
          await gate
        }
      },
      setup: (app) => {
        app.addHook('onSend', async (request) => {
          if (request.headers['x-wait'] !== 'onSend') return
          waiting++
          await gate
        })
        outcomes = mountPlain(app)
        const upgrade = app.tether.sse.upgrade()
        app.get('/careless', async (request, reply) => { await upgrade(request, reply) })
      }
    })
    const readers = [
      startReader(server, '/live', { headers: { 'x-wait': 'initialState' } }),
      startReader(server, '/live', { headers: { 'x-wait': 'onSend' } }),
      startReader(server, '/plain', { headers: { 'x-wait': 'onSend' } }),
      startReader(server, '/careless', { headers: { 'x-wait': 'onSend' } })
    ]
    await until(() => waiting === readers.length, 'all requests to wait')
    for (const reader of readers) reader.destroy()
    await until(() => readers.every((reader) => reader.closed), 'all clients to be gone')
    await until(() => outcomes.length === 1, 'the outcome of upgrade()')
    t.same(outcomes, ['FST_ERR_TETHER_STREAM_ABORTED'])
    release()
    await turns(50)
    await until(() => server.app.tether.stats().sessions === 0, 'the sessions to go')
    t.same(nothingLeft(server), nothing)
    t.equal(server.live.stats.sessions, 0)
    t.same(server.errors(), [])
  })
}

t.test('a hook refuses the plain route as well: nothing of upgrade() has run', async (t) => {
  let outcomes: Array<string | undefined> = []
  const server = await startServer(t, {
    setup: (app) => {
      app.addHook('preHandler', async (_request, reply) => reply.code(401).send())
      outcomes = mountPlain(app)
    }
  })
  t.equal((await readWhole(server, '/plain')).status, 401)
  t.same(outcomes, [])
})
