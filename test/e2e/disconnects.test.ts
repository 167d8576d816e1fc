import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Transport } from '../../plugin/index.ts'
import { fill } from './harness/fill.ts'
import { startLink, type Link } from './harness/link.ts'
import { startLive, type LiveConfig, type LiveServer, type LiveSession } from './harness/live.ts'
import { startReader, type Reader } from './harness/reader.ts'
import { post } from './harness/request.ts'
import { protocols } from './harness/server.ts'
import { activeResources, watchTimers } from './harness/timers.ts'
import { turns, until, within } from './harness/until.ts'

const timers = watchTimers()
t.teardown(() => timers.stop())

/** One way for a client to vanish; gives the promises that must settle then. */
interface Case {
  readonly name: string
  readonly path?: string
  readonly live?: LiveConfig
  /** Whether there is a piece of network between, which can fail. */
  readonly linked?: boolean
  /** Hooks of the session that must run; either all or none where that is a race. */
  readonly hooks: 'all' | 'none' | 'either'
  vanish: (context: { t: Test, server: LiveServer, reader: Reader, link: Link | null, gate: Gate, transports: Transport[] }) => Promise<Array<Promise<unknown>>>
}

/** Holds requests up at one place. */
class Gate {
  waiting = 0
  /** Responses whose connection the server knows to be gone. */
  abandoned = 0
  open!: () => void
  readonly opened = new Promise<void>((resolve) => { this.open = resolve })

  pass (): Promise<void> {
    this.waiting++
    return this.opened
  }
}

async function sessionOf (server: LiveServer, reader: Reader): Promise<LiveSession> {
  await until(() => reader.controls.length > 0, 'the hello frame')
  return until(() => server.live.get(reader.session), 'the session')
}

const cases: Case[] = [
  {
    name: 'right after the headers',
    hooks: 'either',
    vanish: async ({ reader }) => {
      await reader.opened
      reader.destroy()
      return []
    }
  },
  {
    name: 'in the middle of a frame',
    hooks: 'all',
    vanish: async ({ t, server, reader }) => {
      const session = await sessionOf(server, reader)
      const size = 12_000_000
      const sent = session.send('row', 'x'.repeat(size))
      await until(() => reader.bytes > 20_000, 'a part of the frame')
      t.ok(reader.bytes < size, 'but not all of it')
      reader.destroy()
      return [sent]
    }
  },
  {
    name: 'while a send is blocked, in a handler and out of it',
    hooks: 'all',
    live: { on: { ping: async (session) => { await session.send('row', 'from the handler') } } },
    vanish: async ({ t, server, reader }) => {
      const session = await sessionOf(server, reader)
      reader.pause()
      const { blocked } = await fill(session)
      t.equal((await post(server, session.id, { event: 'ping', data: {} })).status, 202)
      const sends = [1, 2, 3].map((number) => session.send('row', `${number}`))
      const update = session.update(async () => { await session.send('row', 'from an update') })
      reader.destroy()
      return [blocked, ...sends, update.catch(() => {})]
    }
  },
  {
    name: 'while close() waits for it',
    hooks: 'all',
    vanish: async ({ server, reader }) => {
      const session = await sessionOf(server, reader)
      reader.pause()
      const { blocked } = await fill(session)
      const closing = session.close()
      await turns()
      reader.destroy()
      return [blocked, closing]
    }
  },
  {
    name: 'before the hello, while an onSend hook runs',
    hooks: 'none',
    path: '/live?wait=onSend',
    vanish: async ({ reader, gate }) => {
      await until(() => gate.waiting > 0, 'the hook')
      reader.destroy()
      await until(() => gate.abandoned > 0, 'the server to know it')
      gate.open()
      return []
    }
  },
  {
    name: 'before the hello, as the onSend hook ends',
    hooks: 'either',
    path: '/live?wait=onSend',
    vanish: async ({ reader, gate }) => {
      await until(() => gate.waiting > 0, 'the hook')
      gate.open()
      reader.destroy()
      return []
    }
  },
  {
    name: 'during initialState',
    hooks: 'none',
    path: '/live?wait=initialState',
    vanish: async ({ reader, gate }) => {
      await until(() => gate.waiting > 0, 'initialState')
      reader.destroy()
      await until(() => gate.abandoned > 0, 'the server to know it')
      gate.open()
      return []
    }
  },
  {
    name: 'before the first byte of a plain stream',
    hooks: 'none',
    path: '/plain?wait=onSend',
    vanish: async ({ reader, gate }) => {
      await until(() => gate.waiting > 0, 'the hook')
      reader.destroy()
      await until(() => gate.abandoned > 0, 'the server to know it')
      gate.open()
      return []
    }
  },
  {
    name: 'while a send of a plain stream is blocked',
    hooks: 'none',
    path: '/plain',
    vanish: async ({ t, reader, transports }) => {
      const transport = await until(() => transports[0], 'the transport')
      reader.pause()
      const sends: Array<Promise<boolean>> = []
      for (const data of [randomBytes(9_000_000).toString('base64'), 'a', 'b', 'c']) sends.push(transport.send({ data }))
      await turns()
      const closing = transport.close()
      reader.destroy()
      t.equal(await within(sends.at(-1)!, 'the blocked send'), false)
      return [...sends, closing, transport.closed]
    }
  },
  {
    name: 'without a word, on a connection that had backed up',
    hooks: 'all',
    linked: true,
    vanish: async ({ server, reader, link }) => {
      const session = await sessionOf(server, reader)
      link?.freeze()
      const { blocked } = await fill(session)
      link?.cut()
      return [blocked]
    }
  }
]

for (const protocol of protocols) {
  for (const { name, path = '/live', live = {}, linked = false, hooks, vanish } of cases) {
    t.test(`${protocol}: a client vanishes ${name}`, async (t) => {
      const seen: string[] = []
      const transports: Transport[] = []
      const outcomes: unknown[] = []
      const gate = new Gate()
      const server = await startLive(t, {
        protocol,
        upgrade: { writeBuffer: 2 },
        live: {
          // The session ends with its stream, so that whatever is left is a leak.
          reconnectMs: 0,
          queueBytes: 1_000_000_000,
          initialState: async (request) => { if (request.url.endsWith('wait=initialState')) await gate.pass() },
          onConnect: () => { seen.push('connect') },
          onDisconnect: (_session, reason) => { seen.push(reason) },
          onClose: () => { seen.push('close') },
          ...live
        },
        setup: (app) => {
          app.addHook('onRequest', async (_request, reply) => { reply.raw.once('close', () => { gate.abandoned++ }) })
          app.addHook('onSend', async (request) => { if (request.url.endsWith('wait=onSend')) await gate.pass() })
          const upgrade = app.tether.sse.upgrade({ writeBuffer: 2 })
          app.get('/plain', async (request, reply) => {
            try {
              transports.push(await upgrade(request, reply))
            } catch (error) {
              outcomes.push((error as { code?: string }).code)
            }
          })
        }
      })
      const link = linked ? await startLink(t, server) : null
      // Of the test before, there may be something on its way out.
      await until(() => timers.active === 0 && activeResources().TCPSocketWrap === undefined, 'a clean start')
      const baseline = activeResources()

      const reader = startReader(server, path, link === null ? {} : { port: link.port })
      const promises = await vanish({ t, server, reader, link, gate, transports })
      await within(Promise.all(promises), 'the promises')
      await until(() => {
        const { sessions, streams } = server.app.tether.stats()
        return sessions + streams + server.live.stats.sessions === 0
      }, 'sessions and streams to go')
      t.match(server.app.tether.stats(), { sessions: 0, detached: 0, pending: 0, streams: 0, bufferedBytes: 0 }, 'nothing is held')
      if (hooks === 'none' || (hooks === 'either' && seen.length === 0)) t.same(seen, [], 'no hook of a session that never was')
      else t.match(seen, ['connect', /^(client|closed)$/, 'close'], 'each hook ran once')
      if (path === '/plain?wait=onSend') {
        await until(() => outcomes.length > 0, 'the route to hear of it')
        t.same(outcomes, ['FST_ERR_TETHER_STREAM_ABORTED'])
      }
      await until(() => timers.active === 0, `timers to go, ${timers.active} left`)
      // What the process itself was busy with at the start, a module to load for example, may be over by now.
      const added = () => Object.entries(activeResources()).filter(([kind, count]) => count > (baseline[kind] ?? 0))
      await until(() => added().length === 0, `resources to go, ${JSON.stringify(baseline)} at the start`)
      t.same(server.errors(), [], 'nothing is logged as an error')
    })
  }

  t.test(`${protocol}: many clients that come and go leave nothing behind`, async (t) => {
    const server = await startLive(t, { protocol, live: { reconnectMs: 0 } })
    const listeners = () => process.eventNames().reduce((sum, event) => sum + process.listenerCount(event as 'exit'), 0)
    const { reader } = await server.connect()
    t.ok(timers.active > 0, 'an open stream has a timer for its heartbeat')
    reader.destroy()
    await until(() => server.app.tether.stats().sessions === 0, 'the session to go')
    const before = listeners()
    for (let round = 0; round < 3; round++) {
      const readers = Array.from({ length: 16 }, () => startReader(server))
      for (const [index, reader] of readers.entries()) {
        if (index % 3 === 0) reader.destroy()
        else reader.opened.then(() => { reader.destroy() }, () => {})
      }
      await until(() => readers.every((reader) => reader.closed), 'all clients to be gone')
    }
    await until(() => {
      const { sessions, streams } = server.app.tether.stats()
      return sessions + streams === 0
    }, 'sessions and streams to go')
    await until(() => timers.active === 0, 'timers to go')
    t.equal(listeners(), before)
    t.same(server.errors(), [])
  })
}
