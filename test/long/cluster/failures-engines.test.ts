// The rows of the table of failures that do not belong to Redis alone, over the other engines.
import t, { type Test } from 'tap'
import { post } from '../../e2e/harness/request.ts'
import { until } from '../../e2e/harness/until.ts'
import { makeDirectory } from '../../cluster/harness/local-under-test.ts'
import { NatsServer } from '../../cluster/harness/nats.ts'
import { labels } from '../../cluster/harness/nodes.ts'
import { Tab } from '../../cluster/harness/tabs.ts'
import { broadcastsAt, openPages, saidAnywhere, say } from '../../cluster/harness/weather.ts'
import { Site, type WeatherNode } from '../../cluster/harness/weather-site.ts'

const leaseMs = 2_000
const cluster = { leaseMs, handoverMs: 8_000, forwardMs: 800 }

/** Takes a node's life, and sees what its pages are told. */
async function killOne (t: Test, site: Site, [a, b, c]: readonly [WeatherNode, WeatherNode, WeatherNode]): Promise<void> {
  const [x, , z] = await openPages(site, [a, b, c] as const)
  const away = await Tab.open(c, { path: '/detach' })
  await post(c as never, away.session, say('kept', 1), '/detach')
  await c.call('broadcast', '/detach', ['of its own'])
  await c.call('synced', '/detach')
  away.reader.destroy()
  await until(async () => (await c.call('sessions', '/detach')).length === 0, 'it leaves')
  // Its record is there as soon as another node can take it.
  t.equal(await away.comeTo(a), 'resumed')
  away.reader.destroy()
  await until(async () => (await a.call('sessions', '/detach')).length === 0, 'it leaves again')
  await c.kill()
  const killedAt = performance.now()
  t.equal(await z.comeTo(b), 'expired')
  t.ok(performance.now() - killedAt < leaseMs + 2_500, `told after ${Math.round(performance.now() - killedAt)} ms`)
  t.equal(await away.comeTo(b), 'resumed', 'a session in the engine goes on')
  t.strictSame(await saidAnywhere(site, away.session, '/detach'), ['kept'])
  await site.isCalm()
  await b.call('broadcast', '/move', ['after'])
  await until(() => broadcastsAt(x).at(-1) === 'after', 'the others go on')
  t.notOk(broadcastsAt(x).includes('GAP'))
}

t.test('NATS', async (t) => {
  const scope = { after: (end: () => unknown) => { t.teardown(end) } }
  const server = await NatsServer.start(scope.after)
  const site = await Site.of(scope, server.port, { engine: { deadlineMs: 500 }, cluster })
  const nodes = await site.start(['nats', 'nats', 'nats']) as [WeatherNode, WeatherNode, WeatherNode]
  const [a, b] = nodes

  await t.test('a link that breaks, freezes or is slow', async (t) => {
    const [x, y] = await openPages(site, nodes)
    const expected: string[] = []
    for (const fault of ['cut', 'freeze'] as const) {
      await b.relay[fault]()
      await until(async () => await b.call('status') !== 'ready', 'it is noticed')
      const texts = [...labels(`${fault}-a`, 5), ...labels(`${fault}-b`, 5)]
      await a.call('broadcast', '/move', texts.slice(0, 5))
      await b.call('broadcast', '/move', texts.slice(5))
      b.relay.mend()
      expected.push(...texts)
      for (const page of [x, y]) await until(() => broadcastsAt(page).length === expected.length, 'what was late')
      await site.isCalm()
    }
    t.strictSame(broadcastsAt(x).toSorted(), expected.toSorted(), 'once each')
    t.strictSame(broadcastsAt(y), broadcastsAt(x), 'one order, and no gap')
  })

  for (const fault of ['kill -9', 'SIGSTOP'] as const) {
    await t.test(`the server is gone for longer than a lease, by ${fault}`, async (t) => {
      const pages = await openPages(site, nodes)
      if (fault === 'SIGSTOP') await server.freeze()
      else await server.kill()
      for (const node of nodes) await node.isIn('isolated')
      for (const [at, node] of nodes.entries()) await node.call('broadcast', '/move', labels(String(at), 20))
      t.equal(await a.call('send', '/move', pages[0].session, 'own'), true)
      await until(() => pages[0].all.includes('own'), 'a private update flows')
      if (fault === 'SIGSTOP') server.thaw()
      else await server.start()
      await site.isCalm()
      for (const [at, page] of pages.entries()) t.equal(await page.comeTo(nodes[(at + 1) % 3]!), 'resumed')
      for (const page of pages) await until(() => broadcastsAt(page).length >= 60, 'what waited')
      for (const page of pages) t.strictSame(broadcastsAt(page).toSorted(), [0, 1, 2].flatMap((at) => labels(String(at), 20)).toSorted(), 'each once, and no gap')
    })
  }

  await t.test('the server comes back empty', async (t) => {
    const pages = await openPages(site, nodes)
    await server.empty()
    await site.isCalm()
    for (const [at, page] of pages.entries()) t.equal(await page.comeTo(nodes[(at + 1) % 3]!), 'resumed', 'its record was written again')
  })

  await t.test('a node is killed', (t) => killOne(t, site, nodes))
})

t.test('the local hub: a node is killed, the one that serves it or another', async (t) => {
  const scope = { after: (end: () => unknown) => { t.teardown(end) } }
  const directory = makeDirectory(scope)
  const site = await Site.of(scope, 0, { engine: { deadlineMs: 500, directory }, cluster })
  const nodes = await site.start(['local', 'local', 'local']) as [WeatherNode, WeatherNode, WeatherNode]
  await killOne(t, site, nodes)
  const [a, b] = nodes
  const [c] = await site.start(['local']) as [WeatherNode]
  await killOne(t, site, [b, c, a])
})
