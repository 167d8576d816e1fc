import t, { type Test } from 'tap'
import { contract, silent as on } from './harness/contract.ts'
import { openReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { readWhole, request } from './harness/request.ts'
import { startServer, type Server } from './harness/server.ts'
import { until } from './harness/until.ts'

const accept = { accept: 'text/event-stream' }

interface Case {
  what: string
  headers: Record<string, string>
  passes: boolean
}

/** Tries a request of each sort: the stream, its headers alone, and events by every path. */
async function tryAll (t: Test, server: Server, url: string, { what, headers, passes }: Case): Promise<void> {
  const reader = await openReader(server, url, { headers })
  t.equal(reader.status, passes ? 200 : 403, `GET ${url}: ${what}`)
  let session = 'x'.repeat(24)
  if (passes) {
    await until(() => reader.controls.length, 'hello')
    session = reader.session
  } else {
    await until(() => reader.ended, 'the answer')
    t.match(JSON.parse(reader.text), { statusCode: 403, code: 'FST_ERR_TETHER_ORIGIN' })
  }
  t.equal((await readWhole(server, url, { ...accept, ...headers }, 'HEAD')).status, passes ? 200 : 403, `HEAD ${url}: ${what}`)
  for (const [path, body] of [[url, '{"event":"ping","data":{}}'], [`${url}/ping`, '{}'], [`${url}/tether.close`, '{}']] as const) {
    const answer = await request(server, path, { method: 'POST', headers: { 'content-type': 'application/json', 'x-tether-session': session, ...headers }, body })
    if (passes) t.equal(answer.status, 202, `POST ${path}: ${what}`)
    else refused(t, answer, 403, 'FST_ERR_TETHER_ORIGIN', `POST ${path}: ${what}`)
  }
  reader.destroy()
}

const own = 'app.example:8080'
const trusted = 'https://trusted.example'

t.test('Sec-Fetch-Site and Origin', async (t) => {
  const server = await startServer(t, {
    setup: (app) => {
      app.tether.stateful('/live', { contract, on })
      app.tether.stateful('/trusting', { contract, on, trustedOrigins: [trusted, 'http://Other.Example:81'] })
    }
  })
  const host = { host: own }
  const site = (value: string, origin?: string) => ({ ...host, 'sec-fetch-site': value, ...origin === undefined ? {} : { origin } })
  const always: Case[] = [
    { what: 'neither header: no browser', headers: host, passes: true },
    { what: 'same-origin', headers: site('same-origin'), passes: true },
    { what: 'same-origin with its Origin', headers: site('same-origin', `http://${own}`), passes: true },
    { what: 'none: typed by the user', headers: site('none'), passes: true },
    { what: 'cross-site', headers: site('cross-site'), passes: false },
    { what: 'cross-site with an Origin', headers: site('cross-site', 'https://evil.example'), passes: false },
    { what: 'cross-site that claims our own origin', headers: site('cross-site', `http://${own}`), passes: false },
    { what: 'same-site', headers: site('same-site'), passes: false },
    { what: 'same-site with an Origin', headers: site('same-site', 'http://sub.app.example'), passes: false },
    { what: 'same-site that claims our own origin', headers: site('same-site', `http://${own}`), passes: false },
    { what: 'a value that there is not', headers: site('trust-me'), passes: false },
    { what: 'two values', headers: site('same-origin, cross-site'), passes: false },
    { what: 'an empty value', headers: site(''), passes: false },
    { what: 'Origin alone, our own', headers: { ...host, origin: `http://${own}` }, passes: true },
    { what: 'Origin alone, our own in other letters', headers: { ...host, origin: 'HTTP://APP.Example:8080' }, passes: true },
    { what: 'Origin alone, another port', headers: { ...host, origin: 'http://app.example:8081' }, passes: false },
    { what: 'Origin alone, no port', headers: { ...host, origin: 'http://app.example' }, passes: false },
    { what: 'Origin alone, another host', headers: { ...host, origin: 'http://evil.example:8080' }, passes: false },
    { what: 'Origin alone, ours within another', headers: { ...host, origin: `http://${own}.evil.example` }, passes: false },
    { what: 'Origin alone, ours as a user name', headers: { ...host, origin: `http://${own}@evil.example` }, passes: false },
    { what: 'Origin alone, with a path', headers: { ...host, origin: `http://${own}/` }, passes: false },
    { what: 'Origin null', headers: { ...host, origin: 'null' }, passes: false },
    { what: 'Origin null, cross-site', headers: site('cross-site', 'null'), passes: false },
    { what: 'Origin that is empty', headers: { ...host, origin: '' }, passes: false },
    { what: 'Origin that is no origin', headers: { ...host, origin: own }, passes: false },
    { what: 'a default port in one of them', headers: { host: 'app.example', origin: 'http://app.example:80' }, passes: true },
    { what: 'a default port in the other', headers: { host: 'app.example:443', origin: 'https://app.example' }, passes: true },
    { what: 'the default port of another scheme', headers: { host: 'app.example:443', origin: 'http://app.example' }, passes: false },
    { what: 'X-Forwarded-Host, which nobody vouches for', headers: { ...host, 'x-forwarded-host': 'evil.example', origin: 'https://evil.example' }, passes: false }
  ]
  const whenTrusted: Case[] = [
    { what: 'a trusted origin, cross-site', headers: site('cross-site', trusted), passes: true },
    { what: 'a trusted origin, same-site', headers: site('same-site', trusted), passes: true },
    { what: 'a trusted origin alone', headers: { ...host, origin: trusted }, passes: true },
    { what: 'a trusted origin in other letters', headers: site('cross-site', 'http://OTHER.example:81'), passes: true }
  ]
  for (const one of always) await tryAll(t, server, '/trusting', one)
  for (const one of always.filter(({ passes }) => !passes)) await tryAll(t, server, '/live', one)
  for (const one of whenTrusted) {
    await tryAll(t, server, '/trusting', one)
    await tryAll(t, server, '/live', { ...one, passes: false })
  }
  for (const origin of [`${trusted}:444`, 'http://trusted.example', `${trusted}.evil.example`, `${trusted}/`]) {
    await tryAll(t, server, '/trusting', { what: `almost a trusted one: ${origin}`, headers: site('cross-site', origin), passes: false })
  }
  await until(() => server.app.tether.stats().streams === 0, 'the streams to end')
})

t.test('trustProxy says whose host it is', async (t) => {
  const server = await startServer(t, { fastify: { trustProxy: true }, setup: (app) => { app.tether.stateful('/live', { contract, on }) } })
  const proxied = { host: 'internal:3000', 'x-forwarded-host': 'app.example', 'x-forwarded-proto': 'https' }
  await tryAll(t, server, '/live', { what: 'the host that the proxy was asked for', headers: { ...proxied, origin: 'https://app.example' }, passes: true })
  await tryAll(t, server, '/live', { what: 'the host behind the proxy', headers: { ...proxied, origin: 'http://internal:3000' }, passes: false })
  await tryAll(t, server, '/live', { what: 'another', headers: { ...proxied, origin: 'https://evil.example' }, passes: false })
})

t.test('origins trusted by the plugin, and by a URL in their place', async (t) => {
  const server = await startServer(t, {
    tether: { trustedOrigins: ['https://all.example'] },
    setup: (app) => {
      app.tether.stateful('/live', { contract, on })
      app.tether.stateful('/own', { contract, on, trustedOrigins: ['https://own.example'] })
      app.tether.stateful('/none', { contract, on, trustedOrigins: [] })
    }
  })
  for (const [url, origin, passes] of [
    ['/live', 'https://all.example', true], ['/live', 'https://own.example', false],
    ['/own', 'https://all.example', false], ['/own', 'https://own.example', true],
    ['/none', 'https://all.example', false]
  ] as const) await tryAll(t, server, url, { what: origin, headers: { 'sec-fetch-site': 'cross-site', origin }, passes })
})

for (const protocol of ['h2c', 'h2'] as const) {
  t.test(`${protocol}: the authority is the host`, async (t) => {
    const server = await startServer(t, { protocol, setup: (app) => { app.tether.stateful('/live', { contract, on }) } })
    await tryAll(t, server, '/live', { what: 'our own', headers: { origin: server.origin }, passes: true })
    await tryAll(t, server, '/live', { what: 'another', headers: { origin: 'https://evil.example' }, passes: false })
    await tryAll(t, server, '/live', { what: 'another port', headers: { origin: `${server.origin}0` }, passes: false })
    await tryAll(t, server, '/live', { what: 'cross-site', headers: { 'sec-fetch-site': 'cross-site', origin: server.origin }, passes: false })
  })
}

t.test('nothing of the application\'s runs for a request that is refused', async (t) => {
  const ran: string[] = []
  const server = await startServer(t, {
    setup: (app) => {
      app.tether.stateful('/live', {
        contract,
        on: { ...on, ping: () => { ran.push('ping') } },
        bind: () => {
          ran.push('bind')
          return null
        },
        initialState: () => { ran.push('initialState') }
      })
    }
  })
  const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
  await tryAll(t, server, '/live', { what: 'another site', headers, passes: false })
  t.same(ran, [])
  t.match(server.app.tether.stats(), { sessions: 0, eventsAccepted: 0 })
})

t.test('an origin may be given in any form that names it', async (t) => {
  const server = await startServer(t, {
    tether: { trustedOrigins: ['HTTPS://Trusted.Example:443', 'http://[0:0::1]:80', 'https://m\u00fcnchen.example'] },
    setup: (app) => { app.tether.stateful('/live', { contract, on }) }
  })
  for (const origin of ['https://trusted.example', 'https://trusted.example:443', 'http://[::1]', 'https://xn--mnchen-3ya.example']) {
    await tryAll(t, server, '/live', { what: origin, headers: { host: `127.0.0.1:${server.port}`, 'sec-fetch-site': 'cross-site', origin }, passes: true })
  }
})
