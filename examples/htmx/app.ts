import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance } from 'fastify'
import tether, { type Handler } from 'fastify-tether'
import { contract, paces, type Mood, type Pace } from './contract.ts'
import { Machine } from './machine.ts'
import { loadPicture, moodTally, noteUpdate, paceChoice, page, wallList } from './views.ts'
import { Wall } from './wall.ts'

/** State of one tab's session. */
interface Tab {
  mood: Mood | null
  pace: Pace
}

type Live = Handler<Tab, typeof contract.updates>

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'"
].join('; ')

/** The wall as a Fastify instance that does not listen yet. */
export async function buildWall (): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: process.env.LOG_LEVEL ?? 'warn' },
    // A browser connects ahead of its requests: `close` would wait for such a connection until the browser ends it.
    forceCloseConnections: true
  })

  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'content-security-policy': contentSecurityPolicy,
      // Not `no-referrer`: with it a plain form would send an origin of `null`.
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff'
    })
  })

  await app.register(fastifyStatic, { root: join(import.meta.dirname, 'public'), cacheControl: false })
  await app.register(fastifyStatic, { root: directoryOf(import.meta.resolve('htmx.org/dist/htmx.min.js')), prefix: '/htmx/', decorateReply: false })
  await app.register(fastifyStatic, { root: directoryOf(import.meta.resolve('htmx-ext-sse/dist/sse.min.js')), prefix: '/htmx-ext-sse/', decorateReply: false })
  await app.register(tether)

  const wall = new Wall()
  const machine = new Machine()

  const live = app.tether.stateful('/live', {
    contract,
    initialState: (): Tab => ({ mood: null, pace: 1 }),
    on: {
      'note.add': (session, { name, text }, { live }) => {
        const { added, removed } = wall.add(name, text)
        live.broadcast('note', String(noteUpdate(added, removed)))
      },
      'mood.set': (session, { mood }, { live }) => {
        session.state.mood = mood
        live.broadcast('moods', String(tallyOf(live)))
      },
      'pace.set': (session, { seconds }, { live }) => {
        live.group(paceGroup(session.state.pace)).delete(session)
        live.group(paceGroup(seconds)).add(session)
        session.state.pace = seconds
      }
    },
    onConnect: (session, { live, verdict }) => {
      live.group(paceGroup(session.state.pace)).add(session)
      // A page that resumes has everything. Any other page gets all notes, since it may be older than this server process.
      if (verdict !== 'resumed') {
        session.send('wall', String(wallList(wall.notes)))
        session.send('load', String(loadPicture(machine)))
        session.send('pace', String(paceChoice(session.state.pace)))
      }
      live.broadcast('moods', String(tallyOf(live)))
    },
    onDisconnect: (session, reason, { live }) => live.broadcast('moods', String(tallyOf(live))),
    onClose: (session, reason, { live }) => live.broadcast('moods', String(tallyOf(live)))
  })

  app.get('/', async (request, reply) => {
    const claim = await live.prepare(request)
    // The page contains its own session, so a cached copy would be useless.
    return reply.header('cache-control', 'no-store').type('text/html; charset=utf-8').send(String(page({
      claim,
      // Forms may name the session before the page has its stream. Unlike a URL, a body is not in the log.
      session: claim === null ? null : live.get(claim)?.id ?? null,
      machine,
      wall: wallList(wall.notes),
      load: loadPicture(machine),
      moods: tallyOf(live),
      pace: paceChoice(1)
    })))
  })

  let seconds = 0
  let timer: NodeJS.Timeout | undefined
  app.addHook('onReady', async () => {
    timer = setInterval(() => {
      machine.read()
      seconds++
      const picture = String(loadPicture(machine))
      for (const pace of paces) {
        if (seconds % pace === 0) live.group(paceGroup(pace)).broadcast('load', picture)
      }
    }, 1000)
  })
  app.addHook('onClose', async () => clearInterval(timer))
  return app
}

function paceGroup (pace: Pace): string {
  return `every ${pace} s`
}

function tallyOf (live: Live) {
  const given = [...live.sessions].flatMap(({ state: { mood } }) => mood ?? [])
  return moodTally(given, live.stats.connected)
}

function directoryOf (url: string): string {
  return dirname(fileURLToPath(url))
}
