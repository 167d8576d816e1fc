import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { Transport, Upgrade } from '../../plugin/index.ts'
import { openReader, type Reader } from './harness/reader.ts'
import { protocols, startServer, type Protocol, type Server } from './harness/server.ts'
import { turns, until, within } from './harness/until.ts'

const began = 'a handler failed after its event stream had begun, which ends with it'
const ended = 'a handler failed after its event stream had ended'

/** Lines of the log that tell of anything but the request's beginning and end. */
function told (server: Server): Array<[level: number, message: string, error: string | undefined]> {
  return server.log
    .filter(({ msg }) => !/^(incoming request|request completed|Server listening|stream closed prematurely|a tether stream ended)/.test(msg))
    .map(({ level, msg, err }) => [level, msg, err?.message ?? err as string | undefined])
}

/** Opens the stream of a route that `mount` makes, and waits for the transport. */
async function open (t: Test, protocol: Protocol, mount: (app: FastifyInstance, upgrade: Upgrade, note: (transport: Transport) => Transport) => void): Promise<{ server: Server, reader: Reader, transport: Transport }> {
  const transports: Transport[] = []
  const server = await startServer(t, {
    protocol,
    setup: (app) => {
      mount(app, app.tether.sse.upgrade({ heartbeatMs: 0 }), (transport) => {
        transports.push(transport)
        return transport
      })
    }
  })
  const reader = await openReader(server, '/')
  return { server, reader, transport: await until(() => transports[0], 'the transport') }
}

for (const protocol of protocols) {
  const ways: Record<string, (app: FastifyInstance, upgrade: Upgrade, note: (transport: Transport) => Transport) => void> = {
    'an async handler': (app, upgrade, note) => {
      app.get('/', async (request, reply) => {
        note(await upgrade(request, reply)).send({ data: 'one' })
        throw new Error('of the handler')
      })
    },
    'an async handler, later': (app, upgrade, note) => {
      app.get('/', async (request, reply) => {
        const transport = note(await upgrade(request, reply))
        await transport.send({ data: 'one' })
        await turns(5)
        throw new Error('of the handler')
      })
    },
    'a handler that does not wait for the transport': (app, upgrade, note) => {
      app.get('/', (request, reply) => {
        upgrade(request, reply).then((transport) => note(transport).send({ data: 'one' }))
        throw new Error('of the handler')
      })
    },
    'a handler that gives a promise': (app, upgrade, note) => {
      app.get('/', (request, reply) => upgrade(request, reply).then((transport) => {
        note(transport).send({ data: 'one' })
        return Promise.reject(new Error('of the handler'))
      }))
    },
    'a handler that sends the error': (app, upgrade, note) => {
      app.get('/', (request, reply) => {
        upgrade(request, reply).then((transport) => {
          note(transport).send({ data: 'one' })
          reply.send(new Error('of the handler'))
        })
      })
    },
    'a preHandler hook': (app, upgrade, note) => {
      app.get('/', {
        preHandler: async (request, reply) => {
          note(await upgrade(request, reply)).send({ data: 'one' })
          throw new Error('of the handler')
        }
      }, async () => {})
    },
    'a preHandler hook with a callback': (app, upgrade, note) => {
      app.get('/', {
        preHandler: (request, reply, done) => {
          upgrade(request, reply).then((transport) => {
            note(transport).send({ data: 'one' })
            done(new Error('of the handler'))
          })
        }
      }, async () => {})
    },
    'a handler below a hook that takes its time': (app, upgrade, note) => {
      app.addHook('onSend', async () => { await turns(3) })
      app.get('/', async (request, reply) => {
        note(await upgrade(request, reply)).send({ data: 'one' })
        throw new Error('of the handler')
      })
    }
  }
  for (const [name, mount] of Object.entries(ways)) {
    t.test(`${protocol}: ${name} throws after the stream has begun`, async (t) => {
      const { server, reader, transport } = await open(t, protocol, mount)
      t.equal(await within(transport.closed, 'closed'), 'failed')
      await until(() => reader.closed, 'the end')
      t.ok(reader.ended, 'a proper end')
      t.equal(reader.status, 200)
      t.match(reader.text, name === 'a handler that does not wait for the transport' ? /^retry: 1000\n\n$/ : /^retry: 1000\n\n(data: one\n\n)$/)
      t.same(told(server), [[50, began, 'of the handler']])
      t.equal(await transport.send({ data: 'late' }), false)
      t.equal(server.app.tether.stats().streams, 0)
    })
  }

  t.test(`${protocol}: whatever is thrown`, async (t) => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    for (const thing of [undefined, null, 0, 'text', Symbol('thing'), Object.create(null), proxy]) {
      const { server, reader, transport } = await open(t, protocol, (app, upgrade, note) => {
        app.get('/', async (request, reply) => {
          note(await upgrade(request, reply))
          throw thing
        })
      })
      t.equal(await within(transport.closed, 'closed'), 'failed')
      await until(() => reader.ended, 'the end')
      t.same(told(server).map(([level, message]) => [level, message]), [[50, began]])
    }
  })

  t.test(`${protocol}: what is returned is not sent`, async (t) => {
    for (const value of [undefined, null, 'text', { a: 1 }, Buffer.from('x')]) {
      const { server, reader, transport } = await open(t, protocol, (app, upgrade, note) => {
        app.get('/', async (request, reply) => {
          note(await upgrade(request, reply))
          return value
        })
      })
      await turns()
      t.equal(await transport.send({ data: 'after' }), true)
      await until(() => reader.updates.length === 1, 'a frame after it')
      await within(transport.close(), 'close()')
      t.equal(await transport.closed, 'closed')
      await until(() => reader.ended, 'the end')
      t.equal(reader.text, 'retry: 1000\n\ndata: after\n\n')
      t.same(told(server), [])
    }
  })

  t.test(`${protocol}: the transport or the reply may be returned, and a hook that upgrades ends the request`, async (t) => {
    for (const what of ['transport', 'reply', 'hook'] as const) {
      let handled = 0
      const { server, reader, transport } = await open(t, protocol, (app, upgrade, note) => {
        const answer = async (request: any, reply: any) => {
          const transport = note(await upgrade(request, reply))
          return what === 'transport' ? transport : reply
        }
        if (what === 'hook') app.get('/', { preHandler: answer as never }, async () => { handled++ })
        else app.get('/', answer)
      })
      t.equal(await transport.send({ data: 'after' }), true)
      await within(transport.close(), 'close()')
      await until(() => reader.ended, 'the end')
      await turns()
      t.same(told(server), [], what)
      t.equal(handled, 0)
    }
  })

  t.test(`${protocol}: a handler that throws once its stream has ended is told of in words that fit`, async (t) => {
    for (const how of ['close', 'closing', 'client'] as const) {
      const { server, reader, transport } = await open(t, protocol, (app, upgrade, note) => {
        app.get('/', async (request, reply) => {
          const transport = note(await upgrade(request, reply))
          if (how === 'close') await transport.close()
          else if (how === 'closing') transport.close()
          else await transport.closed
          throw new Error('too late')
        })
      })
      if (how === 'client') reader.destroy()
      t.equal(await within(transport.closed, 'closed'), how === 'client' ? 'client' : 'closed')
      await until(() => server.errors().length > 0, 'the line')
      await turns()
      const lines = told(server)
      t.equal(lines.length, 1, how)
      t.match(lines[0], [50, how === 'closing' ? /^a handler failed after its event stream had / : ended, 'too late'])
    }
  })
}

t.test('an upgrade that nobody waits for does not end the process when the client leaves first', async (t) => {
  const rejections: unknown[] = []
  const note = (error: unknown) => { rejections.push(error) }
  process.on('unhandledRejection', note)
  t.teardown(() => { process.off('unhandledRejection', note) })
  let waiting = 0
  let hasLeft = false
  let release = () => {}
  const gate = new Promise<void>((resolve) => { release = resolve })
  const server = await startServer(t, {
    setup: (app) => {
      app.addHook('onSend', async () => {
        waiting++
        await gate
      })
      const upgrade = app.tether.sse.upgrade()
      app.get('/', (request, reply) => {
        request.raw.socket.on('close', () => { hasLeft = true })
        upgrade(request, reply)
      })
    }
  })
  const reader = openReader(server, '/').catch(() => {})
  await until(() => waiting === 1, 'the hook')
  for (const one of server.readers) one.destroy()
  await reader
  await until(() => hasLeft, 'the server to notice')
  release()
  await turns(20)
  t.same(rejections, [])
})
