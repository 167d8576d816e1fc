// Sessions survive the death of a process, over a real Redis.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { redis } from '../../plugin/entries/redis.ts'
import { until } from '../e2e/harness/until.ts'
import { connectTo } from './harness/crashes.ts'
import { startNode, type Node } from './harness/nodes.ts'
import { program, startRedis } from './harness/redis-process.ts'
import { keeping, saidAt } from './harness/tabs.ts'

const script = fileURLToPath(new URL('harness/persist-process.ts', import.meta.url))
const skip = existsSync(program) ? false : `no ${program}`

async function startBoth (t: Test, persist: 'command' | 'event'): Promise<{ child: ChildProcess, origin: string, two: Node }> {
  const server = await startRedis({ after: (end: () => unknown) => { t.teardown(end) } })
  const child = fork(script, [String(server.port), 'shop', persist], { execArgv: ['--import', 'tsx'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const [{ port }] = await once(child, 'message') as [{ port: number }]
  const engine = redis(new Redis({ port: server.port, host: '127.0.0.1', lazyConnect: true }))
  const two = await startNode(t, engine, { fastify: { forceCloseConnections: true }, cluster: { name: 'shop', leaseMs: 1_000 }, live: { ...keeping, persist } })
  await until(() => two.cluster.nodes().length === 2 && two.cluster.status === 'ready', 'both nodes')
  return { child, origin: `http://127.0.0.1:${port}`, two }
}

t.test('command: the client\'s events all count once when the process is killed', { skip }, async (t) => {
  const { child, origin, two } = await startBoth(t, 'command')
  const target = { origin }
  const client = connectTo(t, target)
  const gaps: number[] = []
  client.onGap((seq) => { gaps.push(seq) })
  const texts = Array.from({ length: 300 }, (_, index) => String(index))
  let accepted = 0
  const all = (async () => {
    const emitted: Array<Promise<unknown>> = []
    for (const [index, text] of texts.entries()) {
      // Not all in one request.
      await until(() => accepted >= index - 5, 'its turn')
      emitted.push(client.emit('say', { text }).then(() => { accepted++ }))
    }
    await Promise.all(emitted)
  })()
  await until(() => accepted >= 150, 'half of the events')
  child.kill('SIGKILL')
  target.origin = two.origin
  await all
  await until(() => two.live.get(client.session!) !== undefined && saidAt(two, client.session!).length >= texts.length, 'all events')
  t.strictSame(saidAt(two, client.session!), texts)
  t.equal(gaps.length, 1, 'the gap was told')
})

t.test('event: what had a 202 counts once, without any help of the client', { skip }, async (t) => {
  const { child, origin, two } = await startBoth(t, 'event')
  const stream = await fetch(`${origin}/live`, { headers: { accept: 'text/event-stream' } })
  const reader = stream.body!.getReader()
  const hello = Buffer.from((await reader.read()).value!).toString()
  const session = /"session":"([^"]+)"/.exec(hello)![1]!
  const accepted: string[] = []
  const say = async (to: string, text: string) => (await fetch(`${to}/live/say`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-tether-session': session }, body: JSON.stringify({ text }) })).status
  const posting = (async () => {
    try {
      for (let index = 0; ; index++) if (await say(origin, String(index)) === 202) accepted.push(String(index))
    } catch { /* it is dead */ }
  })()
  await until(() => accepted.length >= 100, 'many events')
  child.kill('SIGKILL')
  await posting
  await reader.cancel().catch(() => {})
  await until(async () => await say(two.origin, 'behind') === 202, 'the next node')
  await until(() => saidAt(two, session).includes('behind'), 'its event')
  const said = saidAt(two, session)
  t.strictSame(said.slice(0, accepted.length), accepted)
  // The event of the last POST may have been accepted, too.
  t.ok(said.length - accepted.length <= 2, said.slice(accepted.length).join())
})
