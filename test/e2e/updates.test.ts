import t from 'tap'
import { startLive } from './harness/live.ts'
import { protocols } from './harness/server.ts'
import { until } from './harness/until.ts'

for (const protocol of protocols) {
  t.test(`${protocol}: every update of an exact reader has its number`, async (t) => {
    const { connect, live } = await startLive(t, { protocol })
    const { reader, session } = await connect()
    const before = reader.text.length
    session.send('note', { text: 'one' })
    live.broadcast('note', { text: 'two' })
    session.send('sample', { series: 'cpu', value: 3 })
    await until(() => reader.updates.length === 3, 'three updates')
    session.send('row', 'four')
    await until(() => reader.updates.length === 4, 'the fourth update')
    t.equal(reader.text.slice(before), [
      `id: ${session.id}.1\nevent: note\ndata: {"text":"one"}\n\n`,
      `id: ${session.id}.2\nevent: note\ndata: {"text":"two"}\n\n`,
      `id: ${session.id}.3\nevent: sample\ndata: {"series":"cpu","value":3}\n\n`,
      `id: ${session.id}.4\nevent: row\ndata: four\n\n`
    ].join(''))
  })

  t.test(`${protocol}: updates of a counted reader have none`, async (t) => {
    const { connect, live } = await startLive(t, { protocol })
    const { reader, session } = await connect({ headers: { 'x-tether-session': 'new' } })
    const before = reader.text.length
    session.send('note', { text: 'one' })
    live.broadcast('note', { text: 'two' })
    session.send('row', 'three')
    await until(() => reader.updates.length === 3, 'three updates')
    t.equal(reader.text.slice(before), [
      'event: note\ndata: {"text":"one"}\n\n',
      'event: note\ndata: {"text":"two"}\n\n',
      'event: row\ndata: three\n\n'
    ].join(''))
  })

  t.test(`${protocol}: text goes out raw, line by line, in UTF-8`, async (t) => {
    const { connect } = await startLive(t, { protocol })
    const { reader, session } = await connect()
    const texts: Array<[string, string]> = [
      ['<tr>\n  <td>1</td>\n</tr>', '<tr>\n  <td>1</td>\n</tr>'],
      ['CR\rLF\nCRLF\r\nend', 'CR\nLF\nCRLF\nend'],
      ['', ''],
      ['\n', '\n'],
      [' leading space and "quotes" stay', ' leading space and "quotes" stay'],
      ['id: 7\nevent: forged\ndata: no', 'id: 7\nevent: forged\ndata: no'],
      ['schön, 漢字, 🌍', 'schön, 漢字, 🌍'],
      ['\0 is allowed in data', '\0 is allowed in data']
    ]
    for (const [text] of texts) session.send('row', text)
    await until(() => reader.updates.length === texts.length, 'all updates')
    t.same(reader.updates.map(({ event, data, id }) => [event, data, id]), texts.map(([, data], index) => ['row', data, `${session.id}.${index + 1}`]))
  })

  t.test(`${protocol}: what waits is conflated, but never past an update that everybody gets`, async (t) => {
    const { connect } = await startLive(t, { protocol })
    const { reader, session } = await connect()
    const cpu = (value: number) => session.send('sample', { series: 'cpu', value })
    const memory = (value: number) => session.send('sample', { series: 'memory', value })
    cpu(1)
    memory(1)
    cpu(2)
    cpu(3)
    session.send('note', { text: 'between' })
    cpu(4)
    memory(2)
    cpu(5)
    await until(() => reader.updates.length === 5, 'five updates')
    t.same(reader.updates.map(({ id, data }) => `${id?.split('.')[1]} ${data}`), [
      '1 {"series":"cpu","value":3}',
      '2 {"series":"memory","value":1}',
      '3 {"text":"between"}',
      '4 {"series":"cpu","value":5}',
      '5 {"series":"memory","value":2}'
    ])
    t.equal(session.stats.conflated, 3)
    // What has left is not replaced.
    cpu(6)
    await until(() => reader.updates.length === 6, 'the sixth update')
    t.equal(reader.updates[5]?.id, `${session.id}.6`)
  })

  t.test(`${protocol}: all updates of one turn leave in one write`, async (t) => {
    const { connect, live } = await startLive(t, { protocol })
    for (const named of [undefined, 'new']) {
      const { reader, session } = await connect({ headers: { 'x-tether-session': named } })
      const { writes, framesWritten } = session.stats
      const chunks = reader.chunks.length
      const sent = Array.from({ length: 20 }, (_, index) => `${index}`)
      const promises = sent.map((text, index) => {
        if (index % 3 === 0) {
          live.broadcast('row', text)
          return true
        }
        return session.send('row', text)
      })
      t.ok((await Promise.all(promises)).every((granted) => granted), 'no send blocks')
      await until(() => reader.updates.length === sent.length, 'all updates')
      t.same(reader.updates.map((update) => update.data), sent, 'in the order in which they were sent')
      t.equal(session.stats.writes, writes + 1)
      t.equal(session.stats.framesWritten, framesWritten + sent.length)
      t.equal(session.stats.stalls, 0)
      if (protocol === 'http/1.1') t.equal(reader.chunks.length, chunks + 1, 'as one chunk')
      reader.destroy()
    }
  })
}
