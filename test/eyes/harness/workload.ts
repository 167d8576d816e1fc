import type { LiveServer } from '../../e2e/harness/live.ts'
import { post } from '../../e2e/harness/request.ts'
import { until } from '../../e2e/harness/until.ts'
import { exactly } from '../../e2e/harness/claim.ts'

const long = 'x'.repeat(20_000)

/**
 * Makes every figure move: sessions in step and out of it, of both kinds of reader; conflated and dropped updates; a
 * replay; events, and a handler that fails. Everything has arrived when it resolves.
 */
export async function makeTraffic (server: LiveServer): Promise<void> {
  const { live } = server
  const counted = { headers: { 'x-tether-session': 'new' } }
  const opened = await Promise.all([counted, counted, counted, {}, {}].map((options) => server.connect(options)))
  for (let round = 0; round < 20; round++) {
    live.broadcast('note', { text: `${round}` })
    live.broadcast('sample', { series: 'a', value: round })
    live.broadcast('sample', { series: 'a', value: round + 1 })
    if (round % 5 === 0) opened[round % opened.length]!.session.send('row', 'private')
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { session } = opened[0]!
  for (const text of ['fine', 'wrong']) await post(server, session.id, { event: 'say', data: { text } })
  await until(() => session.stats.handlerErrors === 1, 'the handler that fails')
  const { reader, session: exact } = opened[4]!
  const frozen = await server.connect({ frozen: true })
  await until(() => {
    for (let count = 0; count < 8; count++) frozen.session.send('note', { text: long })
    return frozen.session.stats.dropped > 0
  }, 'dropped updates')
  frozen.reader.destroy()
  reader.destroy()
  await until(() => !exact.connected && !frozen.session.connected, 'the disconnects')
  await server.connect({ headers: exactly(exact.id, 2) })
  await until(() => live.stats.connected === 5, 'the stream that resumes')
  await until(() => [...live.sessions].every(({ connected, stats }) => !connected || stats.queuedFrames === 0), 'all is written')
}
