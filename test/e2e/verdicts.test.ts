import t from 'tap'
import type { Verdict } from '../../plugin/index.ts'
import { counting, exactly } from './harness/claim.ts'
import { startLive, type LiveServer } from './harness/live.ts'
import { openReader, type Json } from './harness/reader.ts'
import { post, readWhole, request } from './harness/request.ts'
import { range, rows, sendRows } from './harness/rows.ts'
import { protocols } from './harness/server.ts'
import { turns, until, within } from './harness/until.ts'

const accept = { accept: 'text/event-stream' }

type Connection = Awaited<ReturnType<LiveServer['connect']>>

/** A server that notes what onConnect is told. */
async function start (t: Parameters<typeof startLive>[0], options: Parameters<typeof startLive>[1] = {}) {
  const told: Verdict[] = []
  const server = await startLive(t, { ...options, live: { ...options.live, onConnect: (_session, { verdict }) => { told.push(verdict) } } })
  return { ...server, told: () => told.splice(0) }
}

/** Loses a session's stream, and waits until the server knows. */
async function cut ({ reader, session }: Connection): Promise<void> {
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
}

function hello ({ reader }: Connection): Json {
  return reader.controls[0]!
}

for (const protocol of protocols) {
  t.test(protocol, async (t) => {
    t.test('new: it brings no id', async (t) => {
      const server = await start(t, { protocol })
      for (const headers of [{}, counting('new'), { 'last-event-id': '' }] as Array<Record<string, string>>) {
        const connection = await server.connect({ headers })
        t.match(hello(connection), { type: 'hello', session: connection.session.id, verdict: 'new', seq: 0 })
        t.equal(connection.reader.blocks[0]!.id, `${connection.session.id}.0`)
        await until(() => connection.session.stats.queuedCommands === 0, 'onConnect')
      }
      t.same(server.told(), ['new', 'new', 'new'])
    })

    t.test('resumed: every frame after its number is held', async (t) => {
      const server = await start(t, { protocol })
      let connection = await server.connect()
      const { session } = connection
      sendRows(session, 1, 5)
      await until(() => rows(connection.reader).length === 5, 'five rows')
      const original = connection.reader.updates.map(({ raw }) => raw)
      await cut(connection)
      sendRows(session, 6, 8)
      server.told()
      for (const [headers, seq] of [
        [exactly(session.id, 0), 0], [exactly(session.id, 3), 3], [exactly(session.id, 5), 5], [exactly(session.id, 8), 8],
        [counting(session.id, 0), 0], [counting(session.id, 6), 6], [counting(session.id, 8), 8], [counting(session.id), 0]
      ] as const) {
        connection = await server.connect({ headers })
        t.equal(connection.session, session)
        t.match(hello(connection), { session: session.id, verdict: 'resumed', seq }, `from ${seq}`)
        t.equal(connection.reader.blocks[0]!.id, `${session.id}.${seq}`)
        await until(() => rows(connection.reader).length >= 8 - seq, 'the rest')
        t.same(rows(connection.reader), seq === 8 ? [] : range(seq + 1, 8), 'in order, none twice')
        const isExact = !('x-tether-session' in headers)
        t.same(connection.reader.updates.map(({ id }) => id), seq === 8 ? [] : range(seq + 1, 8).map((number) => isExact ? `${session.id}.${number}` : undefined))
        if (isExact && seq < 5) t.same(connection.reader.updates.slice(0, 5 - seq).map(({ raw }) => raw), original.slice(seq), 'bytes that were written once stay as they are')
        await until(() => session.stats.queuedCommands === 0, 'onConnect')
        t.same(server.told(), ['resumed'])
        await cut(connection)
      }
    })

    t.test('resumed: a session that never sent anything, right after hello', async (t) => {
      const server = await start(t, { protocol })
      for (const headers of [(id: string) => exactly(id, 0), (id: string) => counting(id, 0), (id: string) => counting(id)]) {
        const connection = await server.connect()
        await cut(connection)
        const again = await server.connect({ headers: headers(connection.session.id) })
        t.match(hello(again), { session: connection.session.id, verdict: 'resumed', seq: 0 })
        again.session.send('row', '1')
        await until(() => rows(again.reader).length === 1, 'the first row')
      }
    })

    t.test('gap: a number older than what is held, or beyond the last', async (t) => {
      const server = await start(t, { protocol, live: { replayFrames: 3 } })
      let connection = await server.connect()
      const { session } = connection
      sendRows(session, 1, 10)
      await until(() => rows(connection.reader).length === 10, 'ten rows')
      await cut(connection)
      sendRows(session, 11, 12)
      server.told()
      for (const headers of [exactly(session.id, 6), exactly(session.id, 0), exactly(session.id, 13), exactly(session.id, 999_999), counting(session.id, 6), counting(session.id, 13), counting(session.id)]) {
        connection = await server.connect({ headers })
        t.equal(connection.session, session, 'it stays the same session')
        t.match(hello(connection), { session: session.id, verdict: 'gap' })
        const { seq } = hello(connection)
        t.equal(connection.reader.blocks[0]!.id, `${session.id}.${seq}`)
        await until(() => rows(connection.reader).at(-1) === 12, 'what is held')
        t.same(rows(connection.reader), range(seq + 1, 12), 'the number before the first held')
        await until(() => session.stats.queuedCommands === 0, 'onConnect')
        t.same(server.told(), ['gap'], 'onConnect is told')
        await cut(connection)
      }
      connection = await server.connect({ headers: exactly(session.id, 9) })
      t.match(hello(connection), { verdict: 'resumed', seq: 9 }, 'the oldest that still can')
    })

    t.test('expired: a session that is not to be had', async (t) => {
      const server = await start(t, { protocol, live: { bind: (request) => request.headers['x-user'] as string | undefined } })
      const own = await server.connect({ headers: { 'x-user': 'ann' } })
      const other = await server.connect({ headers: { 'x-user': 'ann' } })
      const { id } = own.session
      sendRows(own.session, 1, 3)
      await until(() => rows(own.reader).length === 3, 'three rows')
      server.told()
      const user = { 'x-user': 'ann' }
      const claims: Array<[string, Record<string, string>]> = [
        ...['x', id, `${id}.`, `${id}.-1`, `${id}.+1`, `${id}.01`, `${id}.1.5`, `${id}.1e0`, `${id}.0x1`, `${id}. 1`, `${id}.1a`, `.${id}.1`, `x${id}.1`, `${id.slice(1)}.1`, `${id}.TAKEN`, `${id}.9007199254740993`, `${id}.${'9'.repeat(400)}`, '.1', '..', '%00', `${id}.1, ${id}.1`]
          .map((value): [string, Record<string, string>] => [`malformed: ${value.slice(0, 60)}`, { ...user, 'last-event-id': value }]),
        ['unknown', { ...user, ...exactly('x'.repeat(24), 3) }],
        ['unknown, in a header', { ...user, ...counting('x'.repeat(24), 3) }],
        ['unknown, in a header alone', { ...user, ...counting('x'.repeat(24)) }],
        ['malformed, in a header', { ...user, ...counting('id') }],
        ['an empty header', { ...user, 'x-tether-session': '' }],
        ['header and number disagree', { ...user, 'x-tether-session': id, ...exactly(other.session.id, 3) }],
        ['a number, and a header that says new', { ...user, 'x-tether-session': 'new', ...exactly(id, 3) }],
        ['a header, and a number that is malformed', { ...user, 'x-tether-session': id, 'last-event-id': '3' }],
        ['bound to someone else', { 'x-user': 'eve', ...exactly(id, 3) }],
        ['bound to someone else, in a header', { 'x-user': 'eve', ...counting(id, 3) }],
        ['bound to someone, by nobody', exactly(id, 3)]
      ]
      for (const [what, headers] of claims) {
        const connection = await server.connect({ headers })
        t.match(hello(connection), { verdict: 'expired', seq: 0 }, what)
        t.not(connection.session.id, id)
        t.match(connection.session.id, /^[\w-]{24}$/, 'the new id is ours')
        t.notOk(Object.values(headers).join().includes(connection.session.id))
        t.equal(rows(connection.reader).length, 0)
        await within(connection.session.close(), 'close')
      }
      t.same(server.told(), claims.map(() => 'expired'))
      t.equal(own.session.connected, true, 'the session they meant is as before')
      t.equal(other.session.connected, true)
      t.equal(own.reader.closed, false)
    })

    t.test('204: closed for good, or taken over', async (t) => {
      const server = await start(t, { protocol })
      const closed = await server.connect()
      await closed.session.close()
      const taken = await server.connect()
      await until(() => taken.session.stats.queuedCommands === 0, 'onConnect')
      server.told()
      for (const [what, headers] of [
        ['closed', exactly(closed.session.id, 0)],
        ['closed, by a reader that counts', counting(closed.session.id, 0)],
        ['closed, by its header', counting(closed.session.id)],
        ['taken over', exactly(taken.session.id, 'taken')],
        ['taken over, by a reader that counts', counting(taken.session.id, 'taken')]
      ] as const) {
        const answer = await readWhole(server, '/live', { ...accept, ...headers })
        t.equal(answer.status, 204, what)
        t.equal(answer.text, '')
      }
      await turns()
      t.same(server.told(), [], 'no session, no onConnect')
      t.match(server.app.tether.stats(), { sessions: 1, streams: 1 })
      t.equal(taken.session.connected, true)
    })

    t.test('HEAD makes and takes over nothing', async (t) => {
      const server = await start(t, { protocol })
      const { reader, session } = await server.connect()
      for (const headers of [{}, exactly(session.id, 0), counting(session.id)] as Array<Record<string, string>>) {
        const answer = await readWhole(server, '/live', { ...accept, ...headers }, 'HEAD')
        t.equal(answer.status, 200)
        t.equal(answer.headers['content-type'], 'text/event-stream; charset=utf-8')
      }
      await turns()
      t.equal(reader.closed, false)
      t.match(server.app.tether.stats(), { sessions: 1, streams: 1 })
      t.same(server.told(), ['new'])
    })
  })
}

t.test('the query', async (t) => {
  const server = await start(t)
  const { reader, session } = await server.connect()
  const other = await server.connect()
  sendRows(session, 1, 3)
  await until(() => rows(reader).length === 3, 'three rows')
  const open = async (query: string, headers: Record<string, string> = {}) => {
    const opened = await openReader(server, `/live?${query}`, { headers })
    await until(() => opened.controls.length, `the hello frame; it answered ${opened.status}`)
    return opened.controls[0]!
  }
  t.match(await open(`last-event-id=${session.id}.2`), { session: session.id, verdict: 'resumed', seq: 2 }, 'a polyfill may name its last id there')
  t.match(await open(`last-event-id=${session.id}.2`, exactly(session.id, 1)), { session: session.id, verdict: 'resumed', seq: 1 }, 'the header goes before it')
  t.match(await open(`last-event-id=${session.id}.2`, counting(session.id)), { session: session.id, verdict: 'resumed', seq: 2 })
  for (const query of [`last-event-id=${session.id}.1&last-event-id=${session.id}.2`, 'last-event-id=']) t.equal((await open(query)).verdict, 'new', 'what is no one number is none')
  t.equal((await open('last-event-id=nonsense')).verdict, 'expired')

  for (const query of [`tether-session=${other.session.id}`, `tether-session=${'x'.repeat(24)}`, 'tether-session=a']) {
    const claimed = await open(query)
    t.equal(claimed.verdict, 'expired', 'a live session cannot be had by its id in the query')
    t.not(claimed.session, other.session.id)
  }
  t.equal(other.reader.closed, false)
  t.equal((await open('tether-session=')).verdict, 'new')
  t.equal((await open(`tether-session=${other.session.id}&tether-session=a`)).verdict, 'new')
  t.match(await open(`tether-session=${other.session.id}`, exactly(session.id, 3)), { session: session.id, verdict: 'resumed', seq: 3 }, 'what the browser sends when it comes back goes before it')
})

t.test('a cut between hello and replay, and one within the replay, lose nothing', async (t) => {
  const server = await start(t)
  const first = await server.connect()
  const { session } = first
  sendRows(session, 1, 50)
  await until(() => rows(first.reader).length === 50, 'fifty rows')
  await cut(first)
  for (let count = 0; count < 10; count++) {
    const again = await openReader(server, '/live', { headers: exactly(session.id, 0) })
    // The head may come before or after the first frames: either way it leaves at once.
    again.destroy()
    await until(() => !session.connected, 'the disconnect')
    session.send('row', String(51 + count))
  }
  let have = 0
  for (let count = 0; count < 6; count++) {
    const again = await server.connect({ headers: exactly(session.id, have) })
    t.match(hello(again), { verdict: 'resumed', seq: have })
    await until(() => rows(again.reader).length >= 10, 'ten more')
    const got = rows(again.reader)
    t.same(got, range(have + 1, have + got.length))
    // Only so much of it was read before the cut.
    have += 10
    await cut(again)
  }
  t.equal(have, 60)
})

t.test('one session may change between exact ids and counting', async (t) => {
  const server = await start(t)
  let connection = await server.connect()
  const { session } = connection
  for (let round = 0; round < 6; round++) {
    const first = round * 4 + 1
    sendRows(session, first, first + 2)
    await until(() => rows(connection.reader).at(-1) === first + 2, 'three rows')
    const isExact = round % 2 === 0
    t.same(connection.reader.updates.map(({ id }) => id !== undefined), connection.reader.updates.map(() => isExact))
    await cut(connection)
    session.send('row', String(first + 3))
    connection = await server.connect({ headers: isExact ? counting(session.id, first + 1) : exactly(session.id, first + 1) })
    t.match(hello(connection), { session: session.id, verdict: 'resumed', seq: first + 1 })
    await until(() => rows(connection.reader).length === 2, 'the rows missed')
    t.same(rows(connection.reader), [first + 2, first + 3])
  }
})

t.test('Last-Event-ID on a POST trims what is kept', async (t) => {
  const server = await start(t)
  const connection = await server.connect()
  const { session } = connection
  sendRows(session, 1, 10)
  await until(() => rows(connection.reader).length === 10, 'ten rows')
  const event = { event: 'ping', data: {} }
  const send = (lastEventId: string, body: unknown = event) => request(server, '/live', { headers: { 'x-tether-session': session.id, 'last-event-id': lastEventId }, body })
  t.equal(session.stats.heldFrames, 10)
  t.equal((await send(`${session.id}.4`)).status, 202)
  t.equal(session.stats.heldFrames, 6)
  for (const value of [`${session.id}.2`, `${'x'.repeat(24)}.9`, '9', `${session.id}.taken`, `${session.id}.x`]) {
    t.equal((await send(value)).status, 202, 'a mark that says nothing new is no fault')
    t.equal(session.stats.heldFrames, 6, value)
  }
  t.equal((await send(`${session.id}.8`, { event: 'nope', data: {} })).status, 400)
  t.equal(session.stats.heldFrames, 6, 'a POST that is refused trims nothing')
  t.equal((await send(`${session.id}.6`, { event: 'ping', data: {} })).status, 202)
  t.equal(session.stats.heldFrames, 4)
  await cut(connection)
  sendRows(session, 11, 12)
  t.equal((await send(`${session.id}.999`)).status, 202)
  t.equal(session.stats.heldFrames, 2, 'what was never written stays')
  const again = await server.connect({ headers: exactly(session.id, 10) })
  t.match(hello(again), { verdict: 'resumed', seq: 10 })
  await until(() => rows(again.reader).length === 2, 'the rest')
  t.same(rows(again.reader), [11, 12])
  await cut(again)
  const late = await server.connect({ headers: exactly(session.id, 5) })
  t.match(hello(late), { verdict: 'gap', seq: 10 }, 'who said that it has them cannot have them again')
  t.equal((await post(server, session.id, event)).status, 202)
})
