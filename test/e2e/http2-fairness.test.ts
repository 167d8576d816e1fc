import t from 'tap'
import { connectSession } from './harness/http2-connection.ts'
import { startLive } from './harness/live.ts'
import type { Protocol } from './harness/server.ts'
import { range, rows, sendRows } from './harness/rows.ts'
import { until } from './harness/until.ts'

for (const protocol of ['h2c', 'h2'] as Protocol[]) {
  t.test(`${protocol}: a stream with large frames does not hold up the others of its connection`, async (t) => {
    const server = await startLive(t, {
      protocol,
      live: { queueBytes: 256 * 1024 * 1024, on: { say: (session, { text }) => { session.send('note', { text }) } } }
    })
    const over = connectSession(server)
    server.readers.add(over)
    const large = await server.connect({ over })
    const small = await server.connect({ over })
    const frames = 12
    const frame = 'x'.repeat(4_000_000)
    for (let count = 0; count < frames; count++) large.session.send('row', frame)
    await until(() => large.reader.bytes > 100_000, 'the first of the large frames')

    sendRows(small.session, 1, 20)
    const status = await new Promise<number>((resolve, reject) => {
      const posting = over.request({ ':method': 'POST', ':path': '/live', 'content-type': 'application/json', 'x-tether-session': small.session.id })
      posting.on('response', (head) => { resolve(head[':status'] ?? 0) })
      posting.on('error', reject)
      posting.end(JSON.stringify({ event: 'say', data: { text: 'posted' } }))
    })
    t.equal(status, 202)
    await until(() => small.reader.updates.length === 21, 'the small updates, and the answer to the event')
    t.same(rows(small.reader), range(1, 20))
    const received = large.reader.bytes
    t.ok(received < frames * frame.length / 2, `all of it came while the large frames were on their way: ${received} bytes of them`)
    await until(() => large.reader.bytes > frames * frame.length, 'all large frames')
    await until(() => large.reader.updates.length === frames, 'whole')
    t.ok(large.reader.updates.every(({ data }) => data?.length === frame.length))
  })
}
