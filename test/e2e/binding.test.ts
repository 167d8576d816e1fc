import t from 'tap'
import type { FastifyRequest } from 'fastify'
import { counting, exactly } from './harness/claim.ts'
import { contract, silent as on } from './harness/contract.ts'
import { openReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { readWhole, request } from './harness/request.ts'
import { startServer, type Server } from './harness/server.ts'
import { turns, until } from './harness/until.ts'

const accept = { accept: 'text/event-stream' }

function user (request: FastifyRequest): string | undefined {
  return request.headers['x-user'] as string | undefined
}

const as = (name: string | null): Record<string, string> => name === null ? {} : { 'x-user': name }

async function open (server: Server, url: string, headers: Record<string, string>) {
  const reader = await openReader(server, url, { headers })
  await until(() => reader.controls.length, `the hello frame; it answered ${reader.status}`)
  return { reader, id: reader.session, hello: reader.controls[0]! }
}

/** Posts in every way there is. */
function postAll (server: Server, url: string, id: string, headers: Record<string, string>) {
  const json = { 'content-type': 'application/json', 'x-tether-session': id, ...headers }
  const form = { 'content-type': 'application/x-www-form-urlencoded', ...headers }
  return Promise.all([
    request(server, url, { method: 'POST', headers: json, body: '{"event":"ping","data":{}}' }),
    request(server, url, { method: 'POST', headers: json, body: '[{"event":"nope"}]' }),
    request(server, `${url}/ping`, { method: 'POST', headers: json, body: '{}' }),
    request(server, `${url}/ping`, { method: 'POST', headers: form, body: `tether-session=${id}` }),
    request(server, `${url}/tether.close`, { method: 'POST', headers: form, body: `tether-session=${id}` })
  ])
}

t.test('a session answers only to the one who opened it', async (t) => {
  const ran: string[] = []
  const server = await startServer(t, { setup: (app) => { app.tether.stateful('/live', { contract, on: { ...on, ping: () => { ran.push('ping') } }, bind: user }) } })
  for (const owner of ['ann', null]) {
    const { reader, id } = await open(server, '/live', as(owner))
    for (const other of ['eve', 'ann', null, '', 'Ann'].filter((name) => name !== owner)) {
      for (const answer of await postAll(server, '/live', id, as(other))) refused(t, answer, 403, 'FST_ERR_TETHER_BINDING', `opened by ${owner}, posted by ${other}`)
      for (const claim of [exactly(id, 0), counting(id, 0), counting(id)]) {
        const stolen = await open(server, '/live', { ...as(other), ...claim })
        t.equal(stolen.hello.verdict, 'expired', `opened by ${owner}, wanted by ${other}`)
        t.not(stolen.id, id)
        stolen.reader.destroy()
      }
    }
    await turns()
    t.same(ran, [])
    t.equal(reader.closed, false, 'nobody took it')
    const answers = await postAll(server, '/live', id, as(owner))
    t.same(answers.map(({ status }) => status), [202, 400, 202, 204, 204], 'its owner may')
    const back = await open(server, '/live', { ...as(owner), ...exactly(id, 0) })
    t.match(back.hello, { session: id, verdict: 'resumed' })
    await until(() => ran.length === 3, 'the events')
    ran.length = 0
    back.reader.destroy()
  }
})

t.test('by default it answers to whoever knows its id', async (t) => {
  const server = await startServer(t, { setup: (app) => { app.tether.stateful('/live', { contract, on }) } })
  const { id } = await open(server, '/live', as('ann'))
  t.same((await postAll(server, '/live', id, as('eve'))).map(({ status }) => status), [202, 400, 202, 204, 204])
  t.match((await open(server, '/live', { ...as('eve'), ...exactly(id, 0) })).hello, { session: id, verdict: 'resumed' })
})

t.test('of the plugin, or of a URL in its place', async (t) => {
  const server = await startServer(t, {
    tether: { bind: user },
    setup: (app) => {
      app.tether.stateful('/all', { contract, on })
      app.tether.stateful('/own', { contract, on, bind: (request) => request.headers['x-team'] === undefined ? null : Number(request.headers['x-team']) })
    }
  })
  const all = await open(server, '/all', as('ann'))
  for (const answer of await postAll(server, '/all', all.id, as('eve'))) refused(t, answer, 403, 'FST_ERR_TETHER_BINDING', 'the plugin\'s')
  const own = await open(server, '/own', { ...as('ann'), 'x-team': '5' })
  t.equal((await postAll(server, '/own', own.id, { ...as('eve'), 'x-team': '5' }))[0]!.status, 202, 'a number of its own')
  for (const answer of await postAll(server, '/own', own.id, { ...as('ann'), 'x-team': '6' })) refused(t, answer, 403, 'FST_ERR_TETHER_BINDING', 'the URL\'s')
})

t.test('what it throws is the answer, and no session is left', async (t) => {
  let failing = true
  const bind = (request: FastifyRequest) => {
    if (failing) throw Object.assign(new Error('who are you'), { statusCode: 401, code: 'APP_WHO' })
    return user(request)
  }
  const server = await startServer(t, { tether: { maxSessions: 1 }, setup: (app) => { app.tether.stateful('/live', { contract, on, bind }) } })
  for (const headers of [{}, counting('new'), exactly('x'.repeat(24), 0)] as Array<Record<string, string>>) {
    refused(t, await readWhole(server, '/live', { ...accept, ...headers }), 401, 'APP_WHO', 'GET')
    t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
  }
  failing = false
  const { reader, id } = await open(server, '/live', as('ann'))
  failing = true
  for (const answer of await postAll(server, '/live', id, as('ann'))) refused(t, answer, 401, 'APP_WHO', 'POST')
  refused(t, await readWhole(server, '/live', { ...accept, ...exactly(id, 0) }), 401, 'APP_WHO', 'GET of a live one')
  t.equal(reader.closed, false)
})

t.test('what names nobody is refused, since it would name all the same', async (t) => {
  let give: () => unknown = () => 'ann'
  const server = await startServer(t, { setup: (app) => { app.tether.stateful('/live', { contract, on, bind: () => give() as string }) } })
  const { id } = await open(server, '/live', {})
  const useless = [() => Promise.resolve('ann'), () => Promise.reject(new Error('who')), () => ({ name: 'ann' }), () => true, () => Number.NaN, () => Symbol('ann')]
  for (const next of useless) {
    give = next
    refused(t, await readWhole(server, '/live', accept), 500, 'FST_ERR_TETHER_ARGUMENT', `GET, ${String(give)}`)
    for (const answer of await postAll(server, '/live', id, {})) refused(t, answer, 500, 'FST_ERR_TETHER_ARGUMENT', `POST, ${String(give)}`)
  }
  t.match(server.app.tether.stats(), { sessions: 1, streams: 1 })
})
