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

// TLS takes a write at its own pace.
for (const protocol of ['http/1.1', 'https'] as const) {
  t.test(`${protocol}: readers that stand still between others that read get their own ids, byte for byte`, async (t) => {
    const server = await startLive(t, { protocol, live: { replayFrames: 5_000, replayBytes: 100_000_000, queueFrames: 5_000, queueBytes: 100_000_000 } })
    const all = []
    for (let index = 0; index < 9; index++) {
      const opened = await server.connect()
      // Ids of two lengths, so that a round writes to neighbours of both.
      if (index % 4 === 3) for (let number = 0; number < 95; number++) opened.session.send('row', 'private')
      await until(() => opened.reader.updates.length === (index % 4 === 3 ? 95 : 0), 'its own')
      all.push({ ...opened, first: opened.reader.updates.length })
    }
    const stopped = all.filter((_, index) => index % 3 === 0)
    const broadcast: string[] = []
    const say = (text: string) => {
      broadcast.push(text)
      server.live.broadcast('row', text)
    }
    for (const { reader } of stopped) reader.pause()
    // Far more than the buffers of a connection take, so that writes to those that stand still end in their midst.
    for (let round = 0; broadcast.length < 400; round++) {
      for (let index = 0; index <= round % 3; index++) say(`${round}.${index} ${'äx'.repeat(round % 5 === 0 ? 20 : 6_000)}`)
      const last = broadcast.at(-1)
      for (const [index, { reader }] of all.entries()) if (index % 3 !== 0) await until(() => reader.updates.at(-1)?.data === last, 'the round')
    }
    t.ok(stopped.some(({ session }) => session.stats.queuedFrames > 0), 'something waits')
    for (const { reader } of stopped) reader.resume()
    for (const { reader, session, first } of all) {
      await until(() => reader.updates.length === first + broadcast.length, 'all')
      const expected = broadcast.map((text, index) => `id: ${session.id}.${first + index + 1}\nevent: row\ndata: ${text}`)
      t.ok(reader.updates.slice(first).every(({ raw }, index) => raw === expected[index]), 'each byte is its own')
      t.match(session.stats, { dropped: 0, overflowDisconnects: 0 })
    }
  })
}
