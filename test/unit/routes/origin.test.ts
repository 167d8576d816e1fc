import fastify from 'fastify'
import t from 'tap'
import { normalOrigin, originAllowed, originFault } from '../../../plugin/routes/origin.ts'

const trusted = new Set(['https://app.example.com', 'http://localhost:3000', 'capacitor://localhost'])

/** Asks over Fastify, whose idea of the host it is that counts. */
async function ask (headers: Record<string, string>, trustProxy = false): Promise<boolean> {
  const app = fastify({ trustProxy })
  app.get('/', (request) => originAllowed(request, trusted))
  const { body } = await app.inject({ url: '/', headers: { host: 'own.example', ...headers } })
  await app.close()
  return body === 'true'
}

const elsewhere = 'https://evil.example'
const friend = 'https://app.example.com'

const rows: Array<[name: string, headers: Record<string, string>, allowed: boolean]> = [
  ['neither header: no browser', {}, true],

  ['same-origin', { 'sec-fetch-site': 'same-origin' }, true],
  ['same-origin, whatever the Origin', { 'sec-fetch-site': 'same-origin', origin: elsewhere }, true],
  ['same-origin with the Origin null of a sandbox', { 'sec-fetch-site': 'same-origin', origin: 'null' }, true],
  ['none: the user\'s own doing', { 'sec-fetch-site': 'none' }, true],
  ['same-site without an Origin', { 'sec-fetch-site': 'same-site' }, false],
  ['same-site from elsewhere', { 'sec-fetch-site': 'same-site', origin: 'https://sub.own.example' }, false],
  ['same-site from a trusted origin', { 'sec-fetch-site': 'same-site', origin: friend }, true],
  ['same-site, the own host on another port or scheme', { 'sec-fetch-site': 'same-site', origin: 'https://own.example' }, false],
  ['cross-site without an Origin', { 'sec-fetch-site': 'cross-site' }, false],
  ['cross-site from elsewhere', { 'sec-fetch-site': 'cross-site', origin: elsewhere }, false],
  ['cross-site from a trusted origin', { 'sec-fetch-site': 'cross-site', origin: friend }, true],
  ['cross-site with Origin null', { 'sec-fetch-site': 'cross-site', origin: 'null' }, false],
  ['cross-site that claims the own host', { 'sec-fetch-site': 'cross-site', origin: 'https://own.example' }, false],
  ['a value that nobody knows', { 'sec-fetch-site': 'same-galaxy' }, false],
  ['two values', { 'sec-fetch-site': 'same-origin, cross-site' }, false],
  ['an empty value', { 'sec-fetch-site': '' }, false],

  ['the own host', { origin: 'http://own.example' }, true],
  ['the own host over TLS, ended before us', { origin: 'https://own.example' }, true],
  ['the own host in capitals', { origin: 'HTTP://OWN.example' }, true],
  ['the own host, with a port', { origin: 'http://own.example:8080', host: 'own.example:8080' }, true],
  ['the own host, with the scheme\'s own port in Host', { origin: 'http://own.example', host: 'own.example:80' }, true],
  ['the own host over TLS, with its own port in Host', { origin: 'https://own.example', host: 'own.example:443' }, true],
  ['the own host by address', { origin: 'http://[::1]:3000', host: '[::1]:3000' }, true],
  ['the own host on another port', { origin: 'http://own.example:8080' }, false],
  ['the own host on the port of another scheme', { origin: 'https://own.example', host: 'own.example:80' }, false],
  ['a host that ends like the own one', { origin: 'https://evil-own.example' }, false],
  ['a host that begins like the own one', { origin: 'https://own.example.evil' }, false],
  ['a host within the own one', { origin: 'https://sub.own.example' }, false],
  ['the own host as a user name', { origin: 'https://own.example@evil.example' }, false],
  ['the own host as a path', { origin: 'https://evil.example/own.example' }, false],
  ['the own host with a path', { origin: 'https://own.example/' }, false],
  ['the own host without a scheme', { origin: 'own.example' }, false],
  ['two origins', { origin: 'http://own.example, http://evil.example' }, false],
  ['null', { origin: 'null' }, false],
  ['an empty Origin', { origin: '' }, false],
  ['elsewhere', { origin: elsewhere }, false],
  ['a trusted origin', { origin: friend }, true],
  ['a trusted origin in capitals', { origin: 'HTTPS://App.Example.com' }, true],
  ['a trusted host, another scheme', { origin: 'http://app.example.com' }, false],
  ['a trusted host, another port', { origin: 'https://app.example.com:8443' }, false],
  ['a trusted origin with a port', { origin: 'http://localhost:3000' }, true],
  ['a trusted origin of an app', { origin: 'capacitor://localhost' }, true]
]

t.test('the origin rule', async (t) => {
  for (const [name, headers, allowed] of rows) t.equal(await ask(headers), allowed, name)
})

t.test('behind a proxy, its word for the host counts where it is trusted', async (t) => {
  const headers = { origin: 'https://public.example', 'x-forwarded-host': 'public.example' }
  t.equal(await ask(headers, true), true)
  t.equal(await ask(headers, false), false)
  t.equal(await ask({ origin: 'http://own.example', 'x-forwarded-host': 'public.example' }, true), false)
})

t.test('nobody is trusted unless named', async (t) => {
  const app = fastify()
  app.get('/', (request) => originAllowed(request, new Set()))
  const { body } = await app.inject({ url: '/', headers: { host: 'own.example', 'sec-fetch-site': 'cross-site', origin: friend } })
  t.equal(body, 'false')
  await app.close()
})

t.test('an origin of the options, as a browser names it', async (t) => {
  for (const [given, normal] of [
    ['https://app.example.com', 'https://app.example.com'],
    ['HTTPS://App.Example.COM', 'https://app.example.com'],
    ['https://a.example:443', 'https://a.example'],
    ['http://a.example:80', 'http://a.example'],
    ['http://a.example:443', 'http://a.example:443'],
    ['https://a.example:080', 'https://a.example:80'],
    ['https://m\u00fcnchen.example', 'https://xn--mnchen-3ya.example'],
    ['https://\u65e5\u672c.example:8443', 'https://xn--wgv71a.example:8443'],
    ['http://[0:0:0:0:0:0:0:1]:3000', 'http://[::1]:3000'],
    ['http://[2001:DB8::0001]', 'http://[2001:db8::1]'],
    ['http://[::ffff:127.0.0.1]', 'http://[::ffff:7f00:1]'],
    ['http://127.1', 'http://127.0.0.1'],
    ['http://localhost:3000', 'http://localhost:3000'],
    ['capacitor://localhost', 'capacitor://localhost'],
    ['chrome-extension://abcdef', 'chrome-extension://abcdef']
  ] as const) {
    t.equal(originFault(given), null, given)
    t.equal(normalOrigin(given), normal, given)
    t.equal(normalOrigin(normal), normal)
  }
})

t.test('what no browser ever names is refused, by what is wrong with it', async (t) => {
  for (const [given, fault] of [
    ['*', /wildcard/],
    ['https://*', /wildcard/],
    ['https://*.a.example', /wildcard/],
    ['https://a.example:*', /wildcard/],
    ['*://a.example', /wildcard/],
    ['https://.a.example', /begins with a dot/],
    ['null', /sandboxed/],
    ['NULL', /sandboxed/],
    ['a.example', /no scheme/],
    ['a.example:443', /no scheme/],
    ['localhost:3000', /no scheme/],
    ['//a.example', /no scheme/],
    ['', /no scheme/],
    [' https://a.example', /no scheme/],
    ['https:a.example', /no scheme/],
    ['about:blank', /no scheme/],
    ['https://a.example/', /a slash too/],
    ['https://a.example/page', /more than/],
    ['https://a.example?x', /more than/],
    ['https://a.example#x', /more than/],
    ['https://a.example ', /more than/],
    ['https://a.example, https://b.example', /more than/],
    ['https:\\\\a.example', /no scheme/],
    ['https://', /no host/],
    ['https://:443', /cannot be/],
    ['file:///', /./],
    ['https://user@a.example', /user/],
    ['https://user:pass@a.example', /user/],
    ['wss://a.example', /no page's origin/],
    ['ws://a.example:80', /no page's origin/],
    ['file://host', /no page's origin/],
    ['https://a.example:99999', /cannot be/],
    ['https://a.example:port', /cannot be/],
    ['https://[::1', /cannot be/],
    ['https://[fe80::1%25eth0]', /cannot be/],
    ['https://a|b', /cannot be/],
    [5, /no string/],
    [/a/, /no string/],
    [null, /no string/]
  ] as const) t.match(originFault(given), fault, String(given))
})
