import { connect as connectSocket } from 'node:net'
import t from 'tap'
import { defaults } from '../../schemas/defaults.ts'
import { counting, exactly } from './harness/claim.ts'
import { startLive } from './harness/live.ts'
import { refused } from './harness/refusal.ts'
import { post, request, type Answer } from './harness/request.ts'
import { range } from './harness/rows.ts'
import { protocols } from './harness/server.ts'
import { turns, until, within } from './harness/until.ts'

/** An event that tells which one it is. */
function count (to: number, seq?: number) {
  return { event: 'count', data: { to }, ...seq === undefined ? {} : { seq } }
}

async function start (t: Parameters<typeof startLive>[0], options: Parameters<typeof startLive>[1] = {}) {
  const ran: number[] = []
  const server = await startLive(t, { ...options, live: { ...options.live, on: { count: (_session, { to }) => { ran.push(to) }, ...options.live?.on } } })
  const { reader, session } = await server.connect()
  const send = (body: unknown) => post(server, session.id, body)
  return { server, reader, session, send, ran }
}

function accepted (t: Parameters<typeof startLive>[0], answer: Answer, seq: number, what: string): void {
  t.equal(answer.status, 202, what)
  t.equal(answer.json.seq, seq, `${what}: the last accepted`)
}

function skipped (t: Parameters<typeof startLive>[0], answer: Answer, expected: number, what: string): void {
  refused(t, answer, 409, 'FST_ERR_TETHER_SEQUENCE', what)
  t.equal(answer.json.expected, expected, `${what}: what is expected`)
}

for (const protocol of protocols) {
  t.test(`${protocol}: dense, per session, from 1`, async (t) => {
    const { server, send, ran } = await start(t, { protocol })
    skipped(t, await send(count(2, 2)), 1, 'the first cannot be 2')
    for (const seq of range(1, 5)) accepted(t, await send(count(seq, seq)), seq, `${seq}`)
    skipped(t, await send(count(7, 7)), 6, 'one left out')
    accepted(t, await send(count(6, 6)), 6, 'the one that is due')
    const { session: other } = await server.connect()
    accepted(t, await post(server, other.id, count(101, 1)), 1, 'another session counts on its own')
    await until(() => ran.length === 7, 'the events')
    t.same(ran, [1, 2, 3, 4, 5, 6, 101])
  })

  t.test(`${protocol}: what was accepted is acknowledged again, and not run again`, async (t) => {
    const { send, ran, session } = await start(t, { protocol })
    accepted(t, await send([count(1, 1), count(2, 2), count(3, 3)]), 3, 'three')
    for (const seq of [1, 2, 3]) accepted(t, await send(count(seq, seq)), 3, `${seq} again`)
    accepted(t, await send([count(2, 2), count(3, 3)]), 3, 'two of them again')
    accepted(t, await send(count(999, 1)), 3, 'whatever it carries')
    accepted(t, await send([count(2, 2), count(3, 3), count(4, 4), count(5, 5)]), 5, 'the known prefix of a batch is skipped')
    accepted(t, await send([count(1, 1), count(6, 6), count(4, 4), count(7, 7), count(7, 7)]), 7, 'as is what is known in between')
    await turns()
    t.same(ran, range(1, 7))
    t.equal(session.stats.eventsAccepted, 7)
  })

  t.test(`${protocol}: of known events, those count that another than the sender numbered, and what is before them`, async (t) => {
    const { server, session, ran } = await start(t, { protocol })
    const known = async (sender: string | null, from: number, to: number) => {
      const answer = await request(server, '/live', {
        headers: { 'x-tether-session': session.id, ...sender !== null && { 'x-tether-sender': sender } },
        body: range(from, to).map((seq) => count(seq, seq))
      })
      accepted(t, answer, session.stats.eventsAccepted, `${from} to ${to} by ${sender}`)
      return Number(answer.headers['x-tether-known'] ?? 0)
    }
    t.equal(await known(null, 1, 1), 0)
    t.equal(await known('a', 1, 3), 1, 'the first was there')
    t.equal(await known('a', 1, 3), 1, 'the same once more')
    t.equal(await known('a', 2, 3), 0, 'the sender\'s own')
    t.equal(await known('b', 2, 3), 2, 'another\'s')
    t.equal(await known(null, 1, 3), 3, 'nobody\'s own')
    t.equal(await known('b', 3, 4), 1)
    t.equal(await known('a', 5, 5), 0)
    t.equal(await known('a', 2, 6), 3, 'also what is the sender\'s own before another\'s')
    t.equal(await known('b', 4, 4), 0)

    const { numberTurns, senderLength } = defaults.fixed
    const longest = 'x'.repeat(senderLength)
    t.equal(await known(longest, 7, 7), 0)
    t.equal(await known(longest, 7, 7), 0, 'as long as it may be')
    for (let seq = 8; seq < 7 + numberTurns; seq++) await known(`${seq % 2}`, seq, seq)
    t.equal(await known(longest, 7, 7), 0, 'kept for as many turns as that')
    t.equal(await known('a', 7 + numberTurns, 7 + numberTurns), 0)
    t.equal(await known(longest, 7, 7), 1, 'and no longer')
    const tooLong = `${longest}x`
    t.equal(await known(tooLong, 8 + numberTurns, 8 + numberTurns), 0)
    t.equal(await known(tooLong, 8 + numberTurns, 8 + numberTurns), 1, 'too long to be looked at')
    t.equal(await known('', 9 + numberTurns, 9 + numberTurns), 0)
    t.equal(await known('', 9 + numberTurns, 9 + numberTurns), 1, 'nothing')
    await until(() => ran.length === 9 + numberTurns, 'all of them')
    t.same(ran, range(1, 9 + numberTurns), 'once each')
  })
}

t.test('whatever is refused uses no number', async (t) => {
  let release: () => void = () => {}
  const { server, send, ran, session } = await start(t, { live: { commandBuffer: 2, maxBatch: 2, on: { ping: () => new Promise<void>((resolve) => { release = resolve }) } } })
  accepted(t, await send(count(1, 1)), 1, 'the first')
  refused(t, await send({ event: 'count', data: { to: 'x' }, seq: 2 }), 400, 'FST_ERR_VALIDATION', 'bad data')
  refused(t, await send({ event: 'nope', data: {}, seq: 2 }), 400, 'FST_ERR_VALIDATION', 'an unknown event')
  refused(t, await send([count(2, 2), { event: 'count', data: {}, seq: 3 }]), 400, 'FST_ERR_VALIDATION', 'a batch with a fault')
  refused(t, await send([count(2, 2), count(3, 3), count(4, 4)]), 400, 'FST_ERR_VALIDATION', 'a batch that is too long')
  for (const headers of [{ origin: 'https://evil.example' }, { 'content-type': 'text/csv' }] as Array<Record<string, string>>) {
    const answer = await request(server, '/live', { method: 'POST', headers: { 'x-tether-session': session.id, 'content-type': 'application/json', ...headers }, body: JSON.stringify(count(2, 2)) })
    t.ok(answer.status === 403 || answer.status === 415)
  }
  skipped(t, await send([count(2, 2), count(4, 4)]), 2, 'a batch that skips')
  skipped(t, await send([count(3, 3), count(2, 2)]), 2, 'a batch in the wrong order')
  await send({ event: 'ping', data: {} })
  await until(() => session.stats.queuedCommands === 0, 'ping to run')
  accepted(t, await send([count(2, 2), count(3, 3)]), 3, 'two that fill the channel')
  refused(t, await send(count(4, 4)), 429, 'FST_ERR_TETHER_BUSY', 'a full channel')
  refused(t, await send([count(3, 3), count(4, 4)]), 429, 'FST_ERR_TETHER_BUSY', 'a full channel, one of them known')
  accepted(t, await send(count(3, 3)), 3, 'what is known needs no room')
  release()
  await until(() => ran.length === 3, 'room')
  accepted(t, await send(count(4, 4)), 4, 'the very number that was refused')
  await until(() => ran.length === 4, 'the last')
  t.same(ran, [1, 2, 3, 4])
})

t.test('an event without a seq takes none', async (t) => {
  const { send, ran } = await start(t)
  accepted(t, await send(count(101)), 0, 'before the first')
  accepted(t, await send(count(1, 1)), 1, 'the first')
  accepted(t, await send(count(102)), 1, 'in between')
  accepted(t, await send([count(103), count(2, 2), count(104), count(3, 3)]), 3, 'among numbered ones')
  accepted(t, await send(count(4, 4)), 4, 'the next')
  await until(() => ran.length === 8, 'the events')
  t.same(ran, [101, 1, 102, 103, 2, 104, 3, 4])
})

t.test('the events of POST url/:event have none, and leave those of others alone', async (t) => {
  const { server, session, send, ran } = await start(t)
  accepted(t, await send(count(1, 1)), 1, 'the first')
  accepted(t, await post(server, session.id, { to: 101 }, '/live/count'), 1, 'POST url/count')
  accepted(t, await send(count(2, 2)), 2, 'the second')
  await until(() => ran.length === 3, 'the events')
  t.same(ran, [1, 101, 2])
})

t.test('a retry while the first try is still on its way', async (t) => {
  const { server, session, send, ran } = await start(t)
  const slow = connectSocket(server.port, '127.0.0.1')
  slow.on('error', () => {})
  let received = ''
  slow.on('data', (bytes) => { received += bytes.toString() })
  const body = JSON.stringify([count(1, 1), count(2, 2)])
  slow.write(`POST /live HTTP/1.1\r\nHost: x\r\nX-Tether-Session: ${session.id}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 20)}`)
  await until(() => server.log.filter(({ req }) => (req as { method?: string } | undefined)?.method === 'POST').length === 1, 'the first try to arrive')
  accepted(t, await send([count(1, 1), count(2, 2)]), 2, 'the retry')
  accepted(t, await send(count(3, 3)), 3, 'one behind it')
  slow.write(body.slice(20))
  await until(() => received.includes('\r\n\r\n{'), 'the answer to the first try')
  t.match(received, /^HTTP\/1\.1 202 [^]*x-tether-known: 2\r\n[^]*\{"seq":3\}$/, 'is acknowledged in the end')
  slow.destroy()
  t.same(ran, [1, 2, 3], 'each ran once')

  const answers = await Promise.all(Array.from({ length: 12 }, () => send([count(4, 4), count(5, 5)])))
  for (const answer of answers) accepted(t, answer, 5, 'one of twelve at once')
  await turns()
  t.same(ran, [1, 2, 3, 4, 5])
})

t.test('a retry while its handler runs', async (t) => {
  let release: () => void = () => {}
  let started = 0
  const { send, session } = await start(t, {
    live: {
      on: {
        ping: () => {
          started++
          return new Promise<void>((resolve) => { release = resolve })
        }
      }
    }
  })
  accepted(t, await send({ event: 'ping', data: {}, seq: 1 }), 1, 'accepted means queued')
  await until(() => started === 1, 'the handler')
  accepted(t, await send({ event: 'ping', data: {}, seq: 1 }), 1, 'the retry')
  t.equal(session.stats.queuedCommands, 0)
  release()
  await session.update(() => {})
  t.equal(started, 1)
})

t.test('numbers hold over reconnects, with the stream or without', async (t) => {
  const { server, reader, session, send, ran } = await start(t)
  accepted(t, await send([count(1, 1), count(2, 2)]), 2, 'before')
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  accepted(t, await send([count(2, 2), count(3, 3)]), 3, 'without a stream')
  const again = await server.connect({ headers: counting(session.id, 0) })
  t.equal(again.session, session)
  skipped(t, await send(count(5, 5)), 4, 'after')
  accepted(t, await send([count(3, 3), count(4, 4)]), 4, 'after')
  await until(() => ran.length === 4, 'the events')
  t.same(ran, range(1, 4))

  const { session: other } = await server.connect({ headers: exactly('x'.repeat(24), 3) })
  skipped(t, await post(server, other.id, count(5, 5)), 1, 'a session made in place of an expired one begins anew')
})

t.test('a channel that stays full past its bound', async (t) => {
  let release: () => void = () => {}
  const { server, send, session, ran } = await start(t, { live: { commandBuffer: 1, onJoin: () => {}, on: { ping: () => new Promise<void>((resolve) => { release = resolve }) } } })
  await send({ event: 'ping', data: {}, seq: 1 })
  await until(() => session.stats.queuedCommands === 0, 'ping to run')
  accepted(t, await send(count(2, 2)), 2, 'the only place')
  for (const name of ['one', 'two']) server.live.group(name).add(session)
  t.equal(session.stats.queuedCommands, 3, 'hooks go past it')
  accepted(t, await send(count(2, 2)), 2, 'what is known is acknowledged all the same')
  accepted(t, await send({ event: 'ping', data: {}, seq: 1 }), 2, 'as is what runs')
  refused(t, await send(count(3, 3)), 429, 'FST_ERR_TETHER_BUSY', 'what is new is not')
  refused(t, await send(count(3)), 429, 'FST_ERR_TETHER_BUSY', 'numbered or not')
  release()
  await until(() => ran.length === 1, 'room')
  accepted(t, await send(count(3, 3)), 3, 'the number that was refused')
})

t.test('accepted events run before onClose, and none is accepted after', async (t) => {
  const order: unknown[] = []
  let release: () => void = () => {}
  const { send, session } = await start(t, {
    live: {
      on: { ping: () => new Promise<void>((resolve) => { release = resolve }), count: (_session, { to }) => { order.push(to) } },
      onClose: () => { order.push('onClose') }
    }
  })
  await send({ event: 'ping', data: {}, seq: 1 })
  await until(() => session.stats.queuedCommands === 0, 'ping to run')
  accepted(t, await send([count(2, 2), count(3, 3)]), 3, 'queued')
  const closing = session.close()
  for (const body of [count(4, 4), count(3, 3)]) refused(t, await send(body), 410, 'FST_ERR_TETHER_SESSION_CLOSED', `seq ${body.seq} afterwards`)
  release()
  await within(closing, 'close')
  t.same(order, [2, 3, 'onClose'])
})
