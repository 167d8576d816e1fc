import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { nats } from '../../plugin/entries/nats.ts'
import { redis } from '../../plugin/entries/redis.ts'
import { engineContract } from '../../plugin/entries/contract-tests.ts'
import { within } from '../e2e/harness/until.ts'
import { documented, replaced } from '../proxies/harness/documented.ts'
import { killTimeoutMs, kubernetes, numberIn, program, service, stopMs } from './harness/documented-deployment.ts'
import { NatsServer } from './harness/nats.ts'
import { newer } from './harness/nats-under-test.ts'
import { clientKinds } from './harness/redis-clients.ts'
import { startRedis } from './harness/redis-process.ts'

t.test('supervisors wait for longer than a stop takes', async (t) => {
  t.ok(killTimeoutMs >= stopMs, 'PM2')
  t.ok(numberIn(service, /TimeoutStopSec=(\d+)/) * 1_000 >= stopMs, 'systemd')
  const preStopMs = numberIn(kubernetes, /sleep, '(\d+)'/) * 1_000
  t.ok(numberIn(kubernetes, /terminationGracePeriodSeconds: (\d+)/) * 1_000 >= preStopMs + stopMs, 'Kubernetes')
  for (const path of kubernetes.matchAll(/path: (\S+),/g)) t.match(program, `app.get('${path[1]!}'`)
  t.match(service, /RuntimeDirectoryPreserve=yes/)
})

/** The cases of the contract that use all commands, and no faults. */
function casesOf (underTest: Parameters<typeof engineContract>[0]) {
  return engineContract(underTest).filter(({ name }) => !/flood|bounded|neither connection|frozen|slow|deadline/.test(name))
}

t.test('the Redis settings: the user may do what the engine does', async (t) => {
  const password = 'change-this'
  const lines = documented('conf redis').trim().split('\n')
  const user = lines.at(-1)!
  t.match(user, password)
  const folder = mkdtempSync(join(tmpdir(), 'tether-redis-conf-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'redis.conf')
  // The port is another one, and the test has a folder of its own.
  writeFileSync(file, lines.filter((line) => !/^port/.test(line)).join('\n'))
  const server = await startRedis({ after: (end) => { t.teardown(end) } }, { conf: file })
  const settings = Object.fromEntries(lines.slice(1, -1).map((line) => line.split(' ') as [string, string]))
  t.equal((await server.admin.config('GET', 'maxmemory-policy') as string[])[1], settings['maxmemory-policy'])
  t.equal((await server.admin.config('GET', 'appendfsync') as string[])[1], settings.appendfsync)
  const commandsAsked = async () => new Set([...(await server.admin.info('commandstats')).matchAll(/^cmdstat_([^:]+):/gm)].map(([, name]) => name!))
  await server.admin.call('ACL', 'LOG', 'RESET')
  await server.admin.config('RESETSTAT')
  for (const { name, client } of clientKinds) {
    const given = client(server.port, { username: 'shop', password })
    const cases = casesOf({ name, can: { durable: true, due: true, journal: true }, faults: [], deadlineMs: 5_000, queue: { count: 1_000, bytes: 4_000_000 }, start: async () => ({ node: (application) => ({ engine: redis(given, { deadlineMs: 5_000, maxCalls: 1_000, maxCallBytes: 4_000_000 }).engineFor(application) }) }) })
    // All cases with one client; the others differ in how they connect.
    for (const each of name === 'ioredis 6' ? cases : cases.slice(0, 1)) await t.test(`${name}: ${each.name}`, () => each.run())
  }
  t.strictSame((await server.admin.call('ACL', 'LOG') as unknown[][]).map((entry) => entry[7]).filter((what) => what !== 'client|setinfo'), [], 'nothing was refused')
  const asked = await commandsAsked()
  const allowed = [...user.matchAll(/\+([\w|]+)/g)].map(([, name]) => name!)
  // For clients with further settings: a database, a name.
  const further = /^(select|quit|ping|client\|setname|auth)$/
  t.strictSame(allowed.filter((name) => !asked.has(name) && !further.test(name)), [], 'each right is used')
  const stranger = new Redis({ port: server.port, host: '127.0.0.1', username: 'shop', password })
  t.teardown(() => stranger.disconnect())
  const forbidden: Array<[string, ...string[]]> = [['GET', 'other'], ['CONFIG', 'GET', '*'], ['FLUSHALL'], ['KEYS', '*'], ['PUBLISH', 'a', 'b']]
  for (const command of forbidden) {
    await t.rejects(stranger.call(...command), /NOPERM/, command.join(' '))
  }
})

t.test('the NATS settings: the user may do what the engine does', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tether-nats-conf-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'nats.conf')
  writeFileSync(file, replaced(documented('conf nats'), { 'listen: 127.0.0.1:4222\n': '', '  store_dir: /var/lib/nats\n': '' }))
  const server = await NatsServer.start((end) => { t.teardown(end) }, ['-c', file], false)
  const cases = casesOf({ name: 'nats', can: { durable: true, due: true, journal: true }, faults: [], deadlineMs: 5_000, queue: { count: 1_000, bytes: 8_000_000 }, start: async () => ({ node: ({ logMs }) => ({ engine: nats(() => newer(server.port, { user: 'shop', pass: 'change-this' })).engineFor({ name: 'shop', logMs }) }) }) })
  const told = cases.filter(({ name }) => /any bytes pass|created once/.test(name))
  t.ok(told.length > 0)
  for (const { name, run } of told) await t.test(name, () => within(Promise.resolve(run()), name))
})
