import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { startLive } from './harness/live.ts'
import { until } from './harness/until.ts'

/** Bodies from below to far above all limits of a write, of one and of more bytes a character, with line ends. */
const texts = [3_900, 4_096, 9_000, 20_000, 64_000, 70_000, 200_000].flatMap((length) => [
  'x'.repeat(length),
  `${'ä'.repeat(length / 2)}\n${'\u{1f600}'.repeat(20)}`,
  `short ${length}`
])

t.test('large broadcasts reach exact, counting and new readers byte for byte, alone and in bursts', async (t) => {
  const server = await startLive(t, { live: { replayFrames: 500, replayBytes: 20_000_000, queueFrames: 500, queueBytes: 20_000_000 } })
  const opened = await Promise.all([server.connect(), server.connect(), server.connect(), server.connect()])
  const counted = []
  for (const { session, reader } of opened.splice(2)) {
    reader.destroy()
    await until(() => !session.connected, 'the disconnect')
    counted.push(await server.connect({ headers: counting(session.id, 0) }))
  }
  const all = [...opened, ...counted]
  for (const text of texts) {
    server.live.broadcast('row', text)
    for (const { reader } of all) await until(() => reader.updates.at(-1)?.data === text, 'one at a time')
  }
  for (const text of texts) server.live.broadcast('row', text)
  const expected = [...texts, ...texts]
  for (const { reader } of all) await until(() => reader.updates.length === expected.length, 'the burst')
  for (const [index, { reader, session }] of all.entries()) {
    const isExact = index < opened.length
    t.strictSame(reader.updates.map(({ data }) => data), expected)
    t.strictSame(reader.updates.map(({ id }) => id), expected.map((_, at) => isExact ? `${session.id}.${at + 1}` : undefined))
    t.strictSame(reader.updates.map(({ raw }) => raw), expected.map((text, at) => `${isExact ? `id: ${session.id}.${at + 1}\n` : ''}event: row\n${text.split('\n').map((line) => `data: ${line}`).join('\n')}`))
    t.match(session.stats, { dropped: 0, overflowDisconnects: 0, framesWritten: expected.length })
  }
  const { reader, session } = opened[0]!
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  const again = await server.connect({ headers: exactly(session.id, expected.length - 5) })
  await until(() => again.reader.updates.length === 5, 'the replay')
  t.strictSame(again.reader.updates.map(({ data }) => data), expected.slice(-5))
  t.equal(again.reader.updates.at(-1)!.id, `${session.id}.${expected.length}`)
})
