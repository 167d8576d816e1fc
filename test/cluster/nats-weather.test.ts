import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import t from 'tap'
import type { Engine } from '../../plugin/cluster/engine.ts'
import { nats, type NatsConnection, type NatsOptions } from '../../plugin/entries/nats.ts'
import { until } from '../e2e/harness/until.ts'
import { natsLimits, newer, older } from './harness/nats-under-test.ts'
import { NatsServer, type AtEnd } from './harness/nats.ts'

t.jobs = 4

const application = { name: 'shop', logMs: 60_000 }
const require = createRequire(import.meta.url)

interface Node {
  readonly engine: Engine
  readonly states: string[]
  readonly entries: Array<{ at: string, text: string }>
}

async function open (atEnd: AtEnd, connection: NatsConnection | (() => Promise<NatsConnection>), options: NatsOptions = {}, name = 'one'): Promise<Node> {
  const engine = nats(connection, { ...natsLimits, ...options }).engineFor(application)
  atEnd(() => engine.close())
  const states: string[] = []
  const entries: Node['entries'] = []
  await engine.open(name, {
    entry: (at, bytes) => { entries.push({ at, text: bytes.toString() }) },
    message () {},
    up: () => { states.push('up') },
    down: () => { states.push('down') },
    forgot: () => { states.push('forgot') }
  })
  return { engine, states, entries }
}

const full = { code: 'FST_ERR_TETHER_ENGINE_FULL' }

t.test('kill -9 of the server in mid-load loses nothing that was acknowledged', { buffered: true }, async (t) => {
  const server = await NatsServer.start((end) => { t.teardown(end) })
  const { engine, states, entries } = await open((end) => { t.teardown(end) }, () => newer(server.port))
  const end = new AbortController()
  const { signal: over } = end
  const acknowledged: string[] = []
  const written = new Map<string, string>()
  const load = (async () => {
    for (let index = 0; !over.aborted && index < 100_000; index++) {
      await Promise.all([
        engine.append(Buffer.from(`e:${index}`)).then(() => { acknowledged.push(`e:${index}`) }, () => {}),
        engine.put(`k${index}`, Buffer.from(String(index)), null, { ttlMs: 60_000 }).then((revision) => { if (revision !== null) written.set(`k${index}`, revision) }, () => {})
      ])
      if (!states.at(-1)!.startsWith('up')) await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  for (let kills = 0; kills < 2; kills++) {
    const before = acknowledged.length
    await until(() => acknowledged.length > before + 50, 'load')
    await server.restart()
    await until(() => states.filter((state) => state === 'up').length > kills + 1, 'up again')
  }
  end.abort()
  await load
  t.notOk(states.includes('forgot'))
  const read: string[] = []
  for (let after: string | null = null; ;) {
    const piece = await engine.range(after, 1_000)
    if (piece.length === 0) break
    read.push(...piece.map(({ bytes }) => bytes.toString()))
    after = piece.at(-1)!.at
  }
  const stored = new Set(read)
  t.strictSame(acknowledged.filter((text) => !stored.has(text)), [], 'the log has each')
  await until(() => new Set(entries.map(({ text }) => text)).size >= stored.size, 'each is reported')
  t.strictSame([...entries].sort((one, other) => one.at < other.at ? -1 : 1), entries, 'in the order of the log')
  for (const [key, revision] of [...written].slice(-100)) t.equal((await engine.get(key))?.revision, revision)
})

t.test('a server that is stopped is noticed, and nothing is lost when it goes on', { buffered: true }, async (t) => {
  const server = await NatsServer.start((end) => { t.teardown(end) })
  const { engine, states, entries } = await open((end) => { t.teardown(end) }, () => newer(server.port), { deadlineMs: 400 })
  await engine.append(Buffer.from('before'))
  await server.freeze()
  const begun = performance.now()
  await t.rejects(engine.append(Buffer.from('during')), { code: 'FST_ERR_TETHER_ENGINE', message: /in time/ })
  t.ok(performance.now() - begun < 4_000, 'within its deadline, not that by default')
  await until(() => states.at(-1) === 'down', 'down')
  server.thaw()
  await until(() => states.at(-1) === 'up', 'up again')
  await engine.append(Buffer.from('after'))
  await until(() => entries.at(-1)?.text === 'after', 'the entry behind')
  t.equal(entries[0]!.text, 'before')
  t.notOk(states.includes('forgot'))
})

t.test('a server that lost the end of its log gives no place twice', { buffered: true }, async (t) => {
  const server = await NatsServer.start((end) => { t.teardown(end) })
  const { engine, states, entries } = await open((end) => { t.teardown(end) }, () => newer(server.port))
  for (let index = 0; index < 5; index++) await engine.append(Buffer.from(`kept:${index}`))
  await server.keep()
  await until(() => states.filter((state) => state === 'up').length === 2, 'up again')
  for (let index = 0; index < 5; index++) await engine.append(Buffer.from(`lost:${index}`))
  await until(() => entries.at(-1)?.text === 'lost:4', 'the last')
  const { at: lastPlace } = entries.at(-1)!
  await server.goBack()
  await until(() => states.filter((state) => state === 'up').length === 3, 'up again')
  await engine.append(Buffer.from('next'))
  await until(() => entries.at(-1)?.text === 'next', 'what follows')
  t.ok(entries.at(-1)!.at > lastPlace)
})

t.test('full records refuse writes with a code of their own, and have room again when some have shrunk or expired', { buffered: true }, async (t) => {
  const server = await NatsServer.start((end) => { t.teardown(end) })
  const { engine } = await open((end) => { t.teardown(end) }, () => newer(server.port), { recordBytes: 1_000_000, journalBytes: 200_000 })
  const big = Buffer.alloc(100_000, 'x')
  const revisions: string[] = []
  await t.rejects((async () => {
    for (let index = 0; index < 20; index++) revisions.push((await engine.put(`k${index}`, big, null, { ttlMs: index === 0 ? 1_500 : 60_000 }))!)
  })(), full)
  t.ok(revisions.length >= 8, `${revisions.length} records fit`)
  t.strictSame((await engine.get('k1'))!.value, big, 'what was there stays')
  await engine.append(Buffer.from('the log goes on'))
  await t.rejects((async () => { for (let index = 0; index < 20; index++) await engine.journal!('k1', revisions[1]!, Buffer.alloc(20_000)) })(), full, 'journals have a bound of their own')
  const shrunk = await engine.put('k1', Buffer.from('small'), revisions[1]!, { ttlMs: 60_000 })
  t.type(shrunk, 'string', 'a record may shrink')
  t.type(await engine.put('again', Buffer.alloc(50_000), null, { ttlMs: 60_000 }), 'string', 'and leaves room')
  await t.rejects((async () => { for (let index = 0; index < 5; index++) await engine.put(`more${index}`, big, null, { ttlMs: 60_000 }) })(), full)
  await until(async () => {
    await engine.due!(Date.now(), 10)
    return engine.put('more', big, null, { ttlMs: 60_000 }).catch(() => null)
  }, 'room for an expired one', 15_000)
})

t.test('a full log loses its oldest entries, and takes more', { buffered: true }, async (t) => {
  const server = await NatsServer.start((end) => { t.teardown(end) })
  const { engine } = await open((end) => { t.teardown(end) }, () => newer(server.port), { logBytes: 1_000_000, logEntries: 50 })
  for (let index = 0; index < 60; index++) await engine.append(Buffer.from(`e:${index}`))
  t.strictSame((await engine.range(null, 1_000)).map(({ bytes }) => bytes.toString()), Array.from({ length: 50 }, (_, index) => `e:${index + 10}`))
  for (let index = 0; index < 20; index++) await engine.append(Buffer.alloc(100_000))
  const kept = await engine.range(null, 1_000)
  t.ok(kept.length >= 8 && kept.length < 11, `${kept.length} large ones are kept`)
})

t.test('a server without the room for the streams says so at the start', { buffered: true }, async (t) => {
  const folder = t.testdir()
  writeFileSync(`${folder}/nats.conf`, 'jetstream { max_file_store: 10MB }\n')
  const server = await NatsServer.start((end) => { t.teardown(end) }, ['-c', `${folder}/nats.conf`])
  await t.rejects(open((end) => { t.teardown(end) }, () => newer(server.port)), { ...full, message: /stream tether-shop-\w+ needs \d+ bytes.*logBytes/ })
})

t.test('a server without JetStream, and none at all, say so at the start', { buffered: true }, async (t) => {
  const without = await NatsServer.start((end) => { t.teardown(end) }, [], false)
  await t.rejects(open((end) => { t.teardown(end) }, () => newer(without.port)), { code: 'FST_ERR_TETHER_ENGINE', message: /finds no JetStream/ })
  const server = await NatsServer.start((end) => { t.teardown(end) })
  await server.kill()
  await t.rejects(open((end) => { t.teardown(end) }, () => newer(server.port)), { code: 'FST_ERR_TETHER_ENGINE', message: /no connection to NATS/ })
})

t.test('an account with a password', { buffered: true }, async (t) => {
  const folder = t.testdir()
  writeFileSync(`${folder}/nats.conf`, `authorization { users: [
    { user: shop, password: secret, permissions: { publish: ["tether.shop.>", "$JS.API.>", "$JS.FC.>"], subscribe: ["tether.shop.>"] } }
    { user: narrow, password: secret, permissions: { publish: ["tether.shop.>"], subscribe: ["tether.shop.>"] } }
  ] }\n`)
  const server = await NatsServer.start((end) => { t.teardown(end) }, ['-c', `${folder}/nats.conf`])
  for (const [name, client] of Object.entries({ newer, older })) {
    const { engine, entries } = await open((end) => { t.teardown(end) }, () => client(server.port, { user: 'shop', pass: 'secret' }), {}, `right-${name}`)
    await engine.append(Buffer.from(name))
    await until(() => entries.at(-1)?.text === name, `the permissions of docs/cluster.md are enough: ${name}`)
    t.type(await engine.put(name, Buffer.from('v'), null, { ttlMs: 60_000 }), 'string')
    const refused = open((end) => { t.teardown(end) }, () => client(server.port, { user: 'shop', pass: 'wrong-word' }))
    await t.rejects(refused, { code: 'FST_ERR_TETHER_ENGINE', message: /authorization/i })
    await refused.catch(({ message }: Error) => { t.notMatch(message, 'wrong-word') })
    await t.rejects(open((end) => { t.teardown(end) }, () => client(server.port, { user: 'narrow', pass: 'secret' })), { code: 'FST_ERR_TETHER_ENGINE', message: /refused: .*JS\.API/ })
  }
})

t.test('a connection of the application serves, stays open, and reconnects', { buffered: true }, async (t) => {
  const server = await NatsServer.start((end) => { t.teardown(end) })
  const connection = await connect({ servers: `127.0.0.1:${server.port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100 })
  t.teardown(() => connection.close())
  const { engine, states, entries } = await open((end) => { t.teardown(end) }, connection)
  await server.restart()
  await until(() => states.join() === 'up,down,up', 'up again')
  await engine.append(Buffer.from('e'))
  await until(() => entries.at(-1)?.text === 'e', 'the entry')
  await engine.close()
  t.notOk(connection.isClosed())
})

t.test('a connection that closed for good is replaced if there is a function, and otherwise calls say what to do', { buffered: true }, async (t) => {
  const server = await NatsServer.start((end) => { t.teardown(end) })
  const made: NatsConnection[] = []
  const replaced = await open((end) => { t.teardown(end) }, async () => {
    made.push(await newer(server.port))
    return made.at(-1)!
  })
  await made[0]!.close()
  await until(() => replaced.states.join() === 'up,down,up', 'up again')
  await replaced.engine.append(Buffer.from('e'))
  t.equal(made.length, 2)

  const connection = await newer(server.port)
  const given = await open((end) => { t.teardown(end) }, connection, {}, 'two')
  await connection.close()
  await until(() => given.states.at(-1) === 'down', 'down')
  await t.rejects(given.engine.append(Buffer.from('e')), { message: /maxReconnectAttempts to -1/ })
})

t.test('the server learns names of nodes, keys and values, and nothing else', { buffered: true }, async (t) => {
  const server = await NatsServer.start((end) => { t.teardown(end) })
  const { engine } = await open((end) => { t.teardown(end) }, () => newer(server.port))
  await engine.append(Buffer.from('entry'))
  await engine.renew(60_000, Buffer.from('card'))
  const revision = await engine.put('ref', Buffer.from('value'), null, { ttlMs: 60_000, dueAt: Date.now() + 60_000 })
  await engine.journal!('ref', revision!, Buffer.from('event'))
  const foreign = await connect({ servers: `127.0.0.1:${server.port}` })
  t.teardown(() => foreign.close())
  const manager = await jetstreamManager(foreign)
  const found: string[] = []
  for await (const { config: { name }, state: { last_seq: last } } of manager.streams.list()) {
    for (let seq = 1; seq <= last; seq++) {
      const message = await manager.streams.getMessage(name, { seq })
      if (message !== null) found.push(`${message.subject} ${message.string().replace('\n', ' ')}`)
    }
  }
  const forms = [
    /^tether\.shop\.log entry$/,
    /^tether\.shop\.node\.one \{"leaseMs":60000\} card$/,
    /^tether\.shop\.record\.ref \{"end":\d+,"due":\d+,"wake":"one\.\d+"\} value$/,
    /^tether\.shop\.journal\.ref \{"life":"[0-9a-f]{12}","of":\d+\} event$/,
    /^tether\.shop\.mark [0-9a-f]{12}$/,
    /^tether\.shop\.wake\.\d+ \{"key":"ref","id":"one\.\d+","at":\d+,"made":\d+\}$/
  ]
  t.strictSame(found.filter((text) => !forms.some((form) => form.test(text))), [])
  for (const form of forms) t.ok(found.some((text) => form.test(text)), String(form))
})

t.test('a package that is missing is named', { buffered: true }, async (t) => {
  const server = await NatsServer.start((end) => { t.teardown(end) })
  const program = fileURLToPath(new URL('harness/nats-without-package.ts', import.meta.url))
  for (const name of ['@nats-io/transport-node', 'nats']) {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', program, String(server.port), name, require.resolve(name)], { timeout: 30_000 })
    t.match(stdout, new RegExp(`^FST_ERR_TETHER_ENGINE .*npm install ${name}\n$`))
  }
})

t.test('what is no connection is refused by name', { buffered: true }, async (t) => {
  for (const wrong of [undefined, null, 'nats://127.0.0.1', {}, 4]) t.throws(() => nats(wrong as never), { code: 'FST_ERR_TETHER_OPTION', message: /first argument of nats\(\)/ })
  t.throws(() => nats({ publish () {}, subscribe () {} } as never), { code: 'FST_ERR_TETHER_OPTION', message: /lacks status, flush/ })
  t.throws(() => nats(() => newer(1), { deadlineMs: 0 }), { code: 'FST_ERR_TETHER_OPTION', message: /deadlineMs/ })
  for (const replicas of [2, 4, 6]) t.throws(() => nats(() => newer(1), { replicas }), { code: 'FST_ERR_TETHER_OPTION', message: `option "replicas" of nats() must be 1, 3 or 5; default 1; got ${replicas}` })
  for (const replicas of [1, 3, 5]) nats(() => newer(1), { replicas })
  t.throws(() => nats(() => newer(1), { deadlinesMs: 1 } as never), { code: 'FST_ERR_TETHER_OPTION', message: /deadlineMs/ })
})
