import t from 'tap'
import { until } from '../e2e/harness/until.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { NodeProcess } from './harness/node-process-handle.ts'
import { labels, seen } from './harness/nodes.ts'

t.test('three processes on the local hub deliver in one order, also when the one that serves the hub is killed', async (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  const first = await new NodeProcess(t, directory).listening()
  const others: NodeProcess[] = await Promise.all([new NodeProcess(t, directory).listening(), new NodeProcess(t, directory).listening()])
  const nodes = [first, ...others]
  const whenNodes = async (count: number, asked: NodeProcess[] = others) => {
    await until(async () => (await Promise.all(asked.map((node) => node.call('nodes')))).every((found) => found === count), `${count} nodes`)
  }
  await whenNodes(3)
  const readers = await Promise.all(nodes.map((node) => node.read()))
  await Promise.all(nodes.map((node, at) => node.call('load', String(at), 200)))
  for (const reader of readers) await until(() => seen(reader).length >= 600, 'all updates')
  const [order, ...rest] = readers.map(seen)
  t.equal(new Set(order).size, 600)
  for (const other of rest) t.strictSame(other, order, 'one order')
  // A node that heard of another too late, on a busy machine, cannot know that it missed nothing.
  const lossesOf = (node: NodeProcess) => node.call('stats').then(({ losses }: { losses: number }) => losses)
  const losses = await Promise.all(others.map(lossesOf))

  const loads = Promise.all(others.map((node, at) => node.call('load', `b${at}`, 400)))
  await until(() => seen(readers[1]!).length > 700, 'the load runs')
  await first.kill()
  await loads
  const survivors = readers.slice(1)
  for (const reader of survivors) await until(() => seen(reader).length >= 1_400, 'all updates')
  t.strictSame(seen(survivors[1]!), seen(survivors[0]!), 'one order')
  for (const at of [0, 1]) t.strictSame(seen(survivors[0]!).filter((text) => text.startsWith(`b${at}:`)), labels(`b${at}`, 400), 'none lost, none doubled')
  await whenNodes(2)
  for (const [at, node] of others.entries()) {
    t.equal(await node.call('status'), 'ready')
    t.match(await node.call('stats'), { losses: losses[at], dropped: 0, queuedFrames: 0 })
  }
  await others[0]!.call('close')
  await whenNodes(1, others.slice(1))
})
