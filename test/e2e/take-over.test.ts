import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { fill } from './harness/fill.ts'
import { startLink } from './harness/link.ts'
import { startLive } from './harness/live.ts'
import { openReader, startReader } from './harness/reader.ts'
import { readWhole } from './harness/request.ts'
import { range, rows, sendRows } from './harness/rows.ts'
import { protocols } from './harness/server.ts'
import { until, within } from './harness/until.ts'

const accept = { accept: 'text/event-stream' }

for (const protocol of protocols) {
  t.test(`${protocol}: a newer stream takes over`, async (t) => {
    const hooks: unknown[] = []
    const server = await startLive(t, {
      protocol,
      live: {
        onConnect: (_session, { verdict }) => { hooks.push(verdict) },
        onDisconnect: (session, reason) => { hooks.push([reason, session.connected]) },
        onClose: (_session, reason) => { hooks.push(reason) }
      }
    })
    const older = await server.connect()
    const { session } = older
    sendRows(session, 1, 4)
    await until(() => rows(older.reader).length === 4, 'four rows')
    const newer = await server.connect({ headers: exactly(session.id, 2) })
    t.equal(newer.session, session)
    t.match(newer.reader.controls[0], { verdict: 'resumed', seq: 2 })

    await until(() => older.reader.ended, 'the end of the older stream')
    t.same(older.reader.controls.at(-1), { type: 'goodbye', reason: 'replaced', reconnect: false })
    t.equal(older.reader.blocks.at(-1)!.id, `${session.id}.taken`, 'what its browser names when it retries')
    const retry = await readWhole(server, '/live', { ...accept, 'last-event-id': older.reader.blocks.at(-1)!.id! })
    t.equal(retry.status, 204, 'which stops it')
    t.equal(newer.reader.closed, false, 'and takes nothing back')

    sendRows(session, 5, 6)
    await until(() => rows(newer.reader).at(-1) === 6, 'the latest row')
    t.same(rows(older.reader), range(1, 4))
    t.same(rows(newer.reader), range(3, 6), 'nothing is lost between the two, nothing comes twice')
    t.same(hooks, ['new', ['replaced', true], 'resumed'], 'onDisconnect ran for the older')
    await within(session.close('end'), 'close')
    t.same(hooks.slice(3), [['closed', false], 'end'])
  })

  t.test(`${protocol}: two tabs with one id do not steal from each other for ever`, async (t) => {
    const server = await startLive(t, { protocol })
    const first = await server.connect()
    const { session } = first
    let lastId = exactly(session.id, 0)
    let open = first
    // Each tab retries as a browser does, with the last id that it has seen.
    for (let count = 0; count < 3; count++) {
      const next = await server.connect({ headers: exactly(session.id, 0) })
      await until(() => open.reader.ended, 'the end of the one before')
      lastId = { 'last-event-id': open.reader.blocks.at(-1)!.id! }
      t.equal((await readWhole(server, '/live', { ...accept, ...lastId })).status, 204)
      open = next
    }
    t.equal(open.reader.closed, false)
    t.equal(session.connected, true)
    t.equal(server.app.tether.stats().sessions, 1)
  })
}

t.test('a reader that counts takes over from one that does not, and the other way round', async (t) => {
  const server = await startLive(t)
  let open = await server.connect()
  const { session } = open
  for (const [round, headers] of [counting(session.id, 1), exactly(session.id, 2), counting(session.id, 3), counting(session.id, 4), exactly(session.id, 5)].entries()) {
    session.send('row', String(round + 1))
    await until(() => rows(open.reader).at(-1) === round + 1, 'a row')
    const next = await server.connect({ headers })
    t.match(next.reader.controls[0], { verdict: 'resumed', seq: round + 1 })
    await until(() => open.reader.ended, 'the end of the one before')
    t.equal(open.reader.blocks.at(-1)!.id, `${session.id}.taken`)
    open = next
  }
  session.send('row', 'last')
  await until(() => open.reader.updates.length === 1, 'the last row')
  t.equal(open.reader.updates[0]!.id, `${session.id}.6`)
})

t.test('while a handler sends on and on', async (t) => {
  const server = await startLive(t, { live: { replayFrames: 5_000, replayBytes: 50_000_000 } })
  let open = await server.connect()
  const { session } = open
  let sent = 0
  const stop = new AbortController()
  const sending = session.update(async () => {
    while (!stop.signal.aborted) {
      for (let burst = 0; burst < 3; burst++) session.send('row', String(++sent))
      await new Promise((resolve) => setImmediate(resolve))
    }
  })
  const all: number[] = []
  for (let count = 0; count < 8; count++) {
    await until(() => rows(open.reader).length >= 20, 'some rows')
    const got = rows(open.reader)
    // What comes after this look is as if it had been lost on the way, and is asked for again.
    all.push(...got)
    open = await server.connect({ headers: (count % 2 === 0 ? counting : exactly)(session.id, all.length) })
    t.match(open.reader.controls[0], { verdict: 'resumed', seq: all.length })
  }
  stop.abort()
  await sending
  await until(() => rows(open.reader).at(-1) === sent, 'the last row')
  all.push(...rows(open.reader))
  t.same(all, range(1, sent), 'each row once, in order')
})

t.test('an older connection that does not read holds up nothing', async (t) => {
  const server = await startLive(t, { live: { replayFrames: 10_000, replayBytes: 100_000_000, queueBytes: 100_000_000 } })
  const older = await server.connect({ frozen: true })
  const { session } = older
  const { blocked } = await fill(session)
  const next = session.update(() => 'ran')
  const newer = await server.connect({ headers: exactly(session.id, 0) })
  t.equal(await within(blocked, 'the send that was blocked'), true)
  t.equal(await within(next, 'the command behind it'), 'ran')
  session.send('note', { text: 'to the newer' })
  await until(() => newer.reader.updates.at(-1)?.event === 'note', 'the newest update')
  t.same(newer.reader.updates.map(({ id }) => id), range(1, newer.reader.updates.length).map((seq) => `${session.id}.${seq}`))
  await until(() => server.app.tether.stats().streams === 1, 'the older to be cut')
  t.equal(session.connected, true)
})

for (const protocol of protocols) {
  t.test(`${protocol}: an older connection of which only the server believes that it is there`, async (t) => {
    const server = await startLive(t, { protocol })
    const link = await startLink(t, server)
    const older = await server.connect({ port: link.port })
    const { session } = older
    sendRows(session, 1, 5)
    await until(() => rows(older.reader).length === 5, 'five rows')
    link.freeze()
    // What is written now goes nowhere, and the server cannot know.
    sendRows(session, 6, 20)
    await until(() => session.stats.framesWritten === 20, 'all of it to be written')
    t.equal(session.connected, true)
    const newer = await server.connect({ headers: exactly(session.id, 5) })
    t.match(newer.reader.controls[0], { session: session.id, verdict: 'resumed', seq: 5 })
    sendRows(session, 21, 22)
    await until(() => rows(newer.reader).at(-1) === 22, 'the last row')
    t.same(rows(newer.reader), range(6, 22))
    await until(() => server.app.tether.stats().streams === 1, 'the older to be given up')
    t.equal(session.connected, true)
  })

  t.test(`${protocol}: of two requests, the later has the session, whichever of them hooks hold up`, async (t) => {
    const connects: string[] = []
    const waiting: Array<() => void> = []
    const server = await startLive(t, {
      protocol,
      live: { onConnect: (_session, { verdict }) => { connects.push(verdict) } },
      setup: (app) => {
        app.addHook('preHandler', async (request) => {
          if (request.headers['x-hold'] !== undefined) await new Promise<void>((resolve) => { waiting.push(resolve) })
        })
        app.addHook('onSend', async (request) => {
          if (request.headers['x-hold-late'] !== undefined) await new Promise<void>((resolve) => { waiting.push(resolve) })
        })
      }
    })
    for (const hold of ['x-hold', 'x-hold-late']) {
      const first = await server.connect()
      const { session } = first
      sendRows(session, 1, 3)
      await until(() => rows(first.reader).length === 3, 'three rows')
      await until(() => session.stats.queuedCommands === 0, 'onConnect')
      connects.length = 0
      // Its page gives it up and asks again, which the server is not told of.
      const abandoned = startReader(server, '/live', { headers: { ...exactly(session.id, 1), [hold]: '1' } })
      await until(() => waiting.length === 1, 'the hook')
      const newer = await server.connect({ headers: exactly(session.id, 2) })
      t.match(newer.reader.controls[0], { verdict: 'resumed', seq: 2 })
      waiting.splice(0).forEach((release) => release())
      await until(() => abandoned.ended, 'the end of the one that was held up')
      t.same(abandoned.controls, [{ type: 'goodbye', reason: 'replaced', reconnect: false }], 'it is told that another has taken over')
      t.equal(abandoned.blocks.at(-1)!.id, `${session.id}.taken`)
      sendRows(session, 4, 4)
      await until(() => rows(newer.reader).at(-1) === 4, 'a row')
      t.same(rows(newer.reader), [3, 4], 'the newer goes on')
      t.equal(newer.reader.closed, false)
      t.same(connects, ['resumed'], 'onConnect ran for it alone')
      await session.close()
    }
  })
}

t.test('many requests for one session at once: one has it, and the others are told', async (t) => {
  const server = await startLive(t)
  const first = await server.connect()
  const { session } = first
  sendRows(session, 1, 10)
  await until(() => rows(first.reader).length === 10, 'ten rows')
  const readers = await Promise.all(range(0, 9).map((seq) => openReader(server, '/live', { headers: (seq % 2 === 0 ? exactly : counting)(session.id, seq) })))
  await until(() => readers.filter(({ ended }) => ended).length === 9, 'nine of ten to end')
  const [left] = readers.filter(({ ended }) => !ended)
  sendRows(session, 11, 11)
  await until(() => rows(left!).at(-1) === 11, 'the last row')
  t.same(rows(left!), range(left!.controls[0]!.seq + 1, 11))
  for (const reader of readers) {
    if (reader !== left) t.same(reader.controls.at(-1), { type: 'goodbye', reason: 'replaced', reconnect: false })
  }
  t.match(server.app.tether.stats(), { sessions: 1, streams: 1 })
})
