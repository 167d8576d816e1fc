import { AsyncLocalStorage } from 'node:async_hooks'
import t, { type Test } from 'tap'
import { startLive, type LiveConfig, type LiveServer, type LiveSession } from './harness/live.ts'
import { request } from './harness/request.ts'
import { protocols, type Protocol } from './harness/server.ts'
import { until } from './harness/until.ts'

const people = ['anna', 'ben', 'carl']

function post (server: LiveServer, session: LiveSession, user: string, body: unknown, headers: Record<string, string> = {}) {
  return request(server, '/live', { headers: { 'x-tether-session': session.id, 'x-user': user, ...headers }, body })
}

const say = (text: string) => ({ event: 'say', data: { text } })

/** An application that keeps who asks in an AsyncLocalStorage, and lets all POSTs wait for the same. */
async function startWithContext (t: Test, protocol: Protocol, live: LiveConfig) {
  const storage = new AsyncLocalStorage<string>()
  let open!: () => void
  const gate = new Promise<void>((resolve) => { open = resolve })
  let waiting = 0
  const server = await startLive(t, {
    protocol,
    live,
    setup: (app) => {
      app.addHook('onRequest', (request, _reply, done) => storage.run(String(request.headers['x-user']), done))
      app.addHook('preHandler', async (request) => {
        if (request.headers['x-wait'] === undefined) return
        waiting++
        await gate
      })
    }
  })
  return { server, found: () => storage.getStore(), storage, open, waiting: () => waiting }
}

for (const protocol of protocols) {
  t.test(`${protocol}: handlers run in the context of their own request, however many go on at once`, async (t) => {
    const ran: string[] = []
    const { server, found, open, waiting } = await startWithContext(t, protocol, {
      onConnect: () => { ran.push(`connect in ${found()}`) },
      on: { say: (_session, { text }) => { ran.push(`${text} in ${found()}`) } }
    })
    const sessions: LiveSession[] = []
    for (const name of people) sessions.push((await server.connect({ headers: { 'x-user': name } })).session)
    await until(() => ran.length === 3, 'the hooks')
    t.same(ran.splice(0), people.map((name) => `connect in ${name}`))

    const answers = people.map((name, index) => post(server, sessions[index]!, name, say(name), { 'x-wait': '' }))
    await until(() => waiting() === 3, 'all to wait')
    open()
    for (const { status } of await Promise.all(answers)) t.equal(status, 202)
    await until(() => ran.length === 3, 'the handlers')
    t.same(ran.sort(), people.map((name) => `${name} in ${name}`))
  })
}

t.test('what has to wait for its turn keeps its context', async (t) => {
  const ran: string[] = []
  let open!: () => void
  const gate = new Promise<void>((resolve) => { open = resolve })
  const { server, found, storage } = await startWithContext(t, 'http/1.1', {
    on: {
      ping: async () => {
        await gate
        ran.push(`ping in ${found()}`)
      },
      say: (_session, { text }) => { ran.push(`${text} in ${found()}`) }
    }
  })
  const { session } = await server.connect()
  await post(server, session, 'anna', { event: 'ping', data: {} })
  await post(server, session, 'ben', say('one'))
  await post(server, session, 'carl', [say('two'), say('three')])
  const updated = storage.run('the server', () => session.update(() => { ran.push(`update in ${found()}`) }))
  open()
  await updated
  t.same(ran, ['ping in anna', 'one in ben', 'two in carl', 'three in carl', 'update in the server'])
})
