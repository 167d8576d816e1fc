import Fastify, { type FastifyInstance } from 'fastify'
import { Type } from '@sinclair/typebox'
import t, { type Test } from 'tap'
import { connectInjected, type InjectedOptions } from '../../client/injected.ts'
import tether, { defineContract, text, type Handler, type Session } from '../../plugin/index.ts'
import { until, within } from '../e2e/harness/until.ts'

const contract = defineContract({
  events: { say: Type.Object({ text: Type.String({ minLength: 1 }) }), slow: Type.Object({}) },
  updates: { said: Type.Object({ text: Type.String() }), row: text() }
})

interface Rig {
  app: FastifyInstance
  live: Handler<undefined, typeof contract.updates>
  log: unknown[]
  connect: (options?: InjectedOptions<typeof contract>) => ReturnType<typeof connectInjected<typeof contract>>
  session: () => Session<undefined, typeof contract.updates>
}

async function start (t: Test, config: object = {}): Promise<Rig> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(tether)
  const log: unknown[] = []
  let live!: Rig['live']
  await app.register(async (routes) => {
    live = routes.tether.stateful('/live', {
      contract,
      ...config,
      on: { say: (session, { text }) => session.send('said', { text: text.toUpperCase() }), slow: () => new Promise(() => {}) },
      onConnect: (_session, { verdict, request }) => { log.push([verdict, request.headers['x-test'] ?? null]) },
      onDisconnect: (_session, reason) => { log.push(reason) }
    })
  }, { prefix: '/api' })
  return {
    app,
    live,
    log,
    connect: (options) => {
      const connection = connectInjected<typeof contract>(app, '/api/live', options)
      t.teardown(() => connection.close())
      return connection
    },
    session: () => [...live.sessions][0]!
  }
}

t.test('events go up and updates come down, without a port', async (t) => {
  const { app, connect, live, log } = await start(t)
  const client = connect({ headers: { 'x-test': 'yes' } })
  const said = client.once('said')
  await client.emit('say', { text: 'hello' })
  t.strictSame(await within(said, 'the update'), { text: 'HELLO' })
  t.strictSame(app.addresses(), [], 'nobody listens')
  t.strictSame(log, [['new', 'yes']])
  const rows: string[] = []
  client.on('row', (row) => rows.push(row))
  // The stream is open all the while: both ways at once.
  for (let n = 0; n < 100; n++) {
    live.broadcast('row', String(n))
    if (n % 10 === 0) await client.emit('say', { text: 'again' })
  }
  await until(() => rows.length === 100, 'all rows')
  t.strictSame(rows, Array.from({ length: 100 }, (_, n) => String(n)))
  await t.rejects(client.emit('say', { text: '' }), { code: 'FST_ERR_VALIDATION', status: 400, errors: [{ path: '/data/text' }] })
  await t.rejects(client.emit('none' as never, {} as never), { code: 'FST_ERR_VALIDATION' })
})

t.test('a cut line is resumed, and nothing is lost', async (t) => {
  const { connect, live, log } = await start(t)
  const client = connect()
  const rows: string[] = []
  client.on('row', (row) => rows.push(row))
  const verdicts: unknown[] = []
  client.onState((state, { verdict }) => { if (state === 'open') verdicts.push(verdict) })
  await until(() => client.state === 'open', 'the stream')
  const { session } = client
  for (let round = 0; round < 3; round++) {
    live.broadcast('row', `${round} before`)
    client.cut()
    live.broadcast('row', `${round} after`)
    await client.emit('say', { text: 'while the line is cut' })
    await until(() => rows.length === 2 * round + 2 && client.state === 'open', 'the rows of a round')
  }
  t.strictSame(rows, ['0 before', '0 after', '1 before', '1 after', '2 before', '2 after'])
  t.strictSame(verdicts, ['new', 'resumed', 'resumed', 'resumed'])
  t.equal(client.session, session)
  t.strictSame(log, [['new', null], 'client', ['resumed', null], 'client', ['resumed', null], 'client', ['resumed', null]])
})

t.test('a client that does not read blocks the server, and one that reads again gets everything', async (t) => {
  const { connect, session } = await start(t, { queueFrames: 100_000, queueBytes: 100_000_000, onOverflow: 'dropOldest' })
  const client = connect()
  await until(() => client.state === 'open', 'the stream')
  const rows = client.updates('row')
  const first = rows.next()
  const large = 'x'.repeat(10_000)
  let count = 0
  // Not awaited: what does not fit waits.
  while (!session().stats.stalled && count < 5_000) {
    session().send('row', `${count++} ${large}`)
    if (count % 20 === 0) await new Promise((resolve) => { setTimeout(resolve, 1) })
  }
  t.ok(session().stats.stalled, `the write buffer is full after ${count} updates`)
  t.equal((await first).value, `0 ${large}`)
  for (let n = 1; n < count; n++) {
    const { value } = await within(rows.next(), 'the next row')
    if (value !== `${n} ${large}`) t.fail(`row ${n}`)
  }
  t.notOk(session().stats.stalled)
})

t.test('close ends the session, and leaves nothing behind', async (t) => {
  const { app, connect, live, log } = await start(t)
  const clients = Array.from({ length: 5 }, () => connect())
  await until(() => clients.every(({ state }) => state === 'open'), 'all streams')
  t.equal(app.tether.stats().streams, 5)
  for (const client of clients) client.close()
  await until(() => app.tether.stats().streams === 0, 'no stream')
  await until(() => log.filter((entry) => entry === 'client').length === 5, 'their ends')
  t.equal(live.stats.connected, 0)
  const never = connect()
  never.close()
  t.equal(never.state, 'closed')
  const signal = AbortSignal.timeout(1)
  const ended = connect({ signal })
  await until(() => ended.state === 'closed', 'the end by its signal')
  await until(() => app.tether.stats().streams === 0, 'no stream')
})

t.test('an application that closes takes its connections along', async (t) => {
  const { app, connect } = await start(t)
  const client = connect()
  await until(() => client.state === 'open', 'the stream')
  const reasons: unknown[] = []
  client.onState((state, { reason }) => { reasons.push([state, reason]) })
  await app.close()
  await until(() => client.state === 'closed', 'the end of the client')
  t.strictSame(reasons.at(0), ['waiting', 'shutdown'])
  const late = connect()
  await until(() => late.state === 'closed', 'the end of a client that came too late')
})

t.test('an application that is not ready, and hooks that refuse', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(tether)
  app.register(async (routes) => {
    routes.addHook('onRequest', async (request, reply) => {
      if (request.headers.authorization !== 'yes') return reply.code(401).send({ code: 'NO', message: 'no' })
    })
    routes.tether.stateful('/live', { contract: defineContract({}) })
  })
  const refused = connectInjected(app, '/live')
  t.teardown(() => refused.close())
  const detail = new Promise((resolve) => refused.onState((state, detail) => { if (state === 'closed') resolve(detail) }))
  t.match(await within(detail, 'the refusal'), { status: 401, code: 'NO' })
  const allowed = connectInjected(app, '/live', { headers: () => ({ authorization: 'yes' }) })
  t.teardown(() => allowed.close())
  await until(() => allowed.state === 'open', 'the stream')
})

t.test('a session that the server closes for good', async (t) => {
  const { connect, session } = await start(t)
  const client = connect()
  await until(() => client.state === 'open', 'the stream')
  const detail = new Promise((resolve) => client.onState((state, detail) => { if (state === 'closed') resolve(detail) }))
  session().close('kicked')
  t.match(await within(detail, 'the end'), { reason: 'kicked' })
})
