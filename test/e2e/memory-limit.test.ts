import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { fill } from './harness/fill.ts'
import { startLive, type LiveServer } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { post } from './harness/request.ts'
import { turns, until, within } from './harness/until.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Sessions without a stream. */
async function detached (server: LiveServer, count: number) {
  const connections = await Promise.all(Array.from({ length: count }, () => server.connect()))
  for (const { reader } of connections) reader.destroy()
  await until(() => connections.every(({ session }) => !session.connected), 'the disconnects')
  return connections.map(({ session }) => session)
}

t.test('many sessions with one large update each: the newest go as well, and their readers are told', async (t) => {
  const limit = 1_000_000
  const server = await startLive(t, { tether: { maxBufferedBytes: limit } })
  const sessions = await detached(server, 60)
  let most = 0
  for (const session of sessions) {
    session.send('row', 'x'.repeat(50_000))
    most = Math.max(most, server.app.tether.stats().bufferedMemory)
  }
  t.ok(most <= limit + 51_000, `${most} bytes at most`)
  t.ok(most > 0.9 * limit)
  t.ok(server.app.tether.stats().bufferedBytes <= limit)
  const kept = sessions.filter(({ stats }) => stats.heldFrames === 1)
  const lost = sessions.filter(({ stats }) => stats.heldFrames === 0)
  t.ok(kept.length > 10 && lost.length > 10)
  t.equal(server.app.tether.stats().dropped, lost.length)
  for (const [session, verdict] of [[kept[0]!, 'resumed'], [lost[0]!, 'gap']] as const) {
    const { reader } = await server.connect({ headers: exactly(session.id, 0) })
    t.match(reader.controls[0], { verdict })
    session.send('note', { text: 'goes on' })
    await until(() => reader.updates.some(({ event }) => event === 'note'), 'what comes next')
  }
})

t.test('small updates weigh what they take', async (t) => {
  const limit = 24_000_000
  const server = await startLive(t, { tether: { maxBufferedBytes: limit }, live: { queueFrames: 10_000_000, queueBytes: 1_000_000_000 } })
  const sessions = await detached(server, 40)
  collect()
  const before = process.memoryUsage().heapUsed
  for (let round = 0; round < 10_000; round++) {
    for (const session of sessions) session.send('sample', { series: `${round % 7_000}`, value: round })
    if (round % 500 === 0) await turns(1)
  }
  collect()
  const grown = process.memoryUsage().heapUsed - before
  const { bufferedBytes, bufferedMemory } = server.app.tether.stats()
  t.ok(bufferedBytes < limit / 3, `${bufferedBytes} bytes of updates`)
  t.ok(bufferedMemory <= limit && bufferedMemory > 0.85 * limit)
  t.ok(grown < 1.25 * limit, `${grown} bytes of heap`)
})

t.test('who holds most gives first, and who reads loses nothing', async (t) => {
  const limit = 1_000_000
  const server = await startLive(t, { tether: { maxBufferedBytes: limit }, live: { queueBytes: 10_000_000 } })
  const reading = await server.connect()
  const [large, small] = await detached(server, 2)
  for (let count = 0; count < 10; count++) {
    reading.session.send('row', 'x'.repeat(5_000))
    small!.send('row', 'x'.repeat(5_000))
  }
  await until(() => reading.reader.updates.length === 10, 'what is read')
  for (let count = 0; count < 300; count++) large!.send('row', 'x'.repeat(20_000))
  t.ok(server.app.tether.stats().bufferedMemory <= limit)
  t.same([reading.session, small!].map(({ stats }) => stats.heldFrames), [10, 10])
  t.ok(large!.stats.dropped > 200)
  const back = await server.connect({ headers: exactly(reading.session.id, 2) })
  t.match(back.reader.controls[0], { verdict: 'resumed' })
})

t.test('an update above the limit passes alone, at nobody else\'s cost', async (t) => {
  const limit = 200_000
  const server = await startLive(t, { tether: { maxBufferedBytes: limit }, live: { replayBytes: 1_000_000 } })
  const reading = await server.connect()
  const [first, second, other] = await detached(server, 3)
  for (let count = 0; count < 10; count++) {
    other!.send('row', 'x'.repeat(5_000))
    reading.session.send('row', 'y'.repeat(5_000))
  }
  await until(() => reading.reader.updates.length === 10, 'what is read')
  const untouched = () => {
    t.equal(other!.stats.dropped, 0)
    t.ok(other!.stats.heldFrames >= 10)
    t.equal(server.app.tether.stats().dropped, first!.stats.dropped + second!.stats.dropped)
  }
  first!.send('row', 'x'.repeat(3 * limit))
  untouched()
  t.equal(first!.stats.heldFrames, 1)
  second!.send('row', 'x'.repeat(2 * limit))
  untouched()
  t.same([first!.stats.heldFrames, second!.stats.heldFrames], [0, 1], 'one of them at a time')
  for (let count = 11; count <= 13; count++) {
    reading.session.send('row', 'z'.repeat(2 * limit))
    await until(() => reading.reader.updates.length === count, 'a reader that reads has each of them')
  }
  untouched()
  t.match((await server.connect({ headers: exactly(first!.id, 0) })).reader.controls[0], { verdict: 'gap' })
  t.match((await server.connect({ headers: exactly(other!.id, 0) })).reader.controls[0], { verdict: 'resumed' })
  server.live.broadcast('row', 'b'.repeat(2 * limit))
  await until(() => reading.reader.updates.length === 14, 'a broadcast')
  untouched()
})

t.test('what a blocked stream has in hand is counted, and goes with it', async (t) => {
  const limit = 4_000_000
  const server = await startLive(t, { tether: { maxBufferedBytes: limit }, upgrade: { stallTimeoutMs: 0 }, live: { onOverflow: 'dropOldest', replayBytes: 0 } })
  const sessions = await Promise.all(Array.from({ length: 6 }, async () => {
    const { session } = await server.connect({ frozen: true })
    await fill(session)
    return session
  }))
  let most = 0
  for (let round = 0; round < 3; round++) {
    for (const session of sessions) {
      session.send('row', 'x'.repeat(900_000))
      await turns(2)
      most = Math.max(most, server.app.tether.stats().bufferedMemory)
    }
  }
  t.ok(most < limit + 1_000_000, `${most} bytes at most`)
  t.ok(server.app.tether.stats().bufferedMemory <= limit)
})

t.test('plain streams that fill it are ended', async (t) => {
  const server = await startLive(t, {
    tether: { maxBufferedBytes: 3_000_000 },
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade({ stallTimeoutMs: 0 })
      app.get('/plain', async (request, reply) => {
        const stream = await upgrade(request, reply)
        let isOpen = true
        stream.closed.then(() => { isOpen = false })
        const more = () => {
          if (!isOpen) return
          stream.send({ data: 'x'.repeat(60_000) })
          setTimeout(more, 1)
        }
        // As much as it may hold by itself, and no more.
        stream.send({ data: 'first' })
        for (let count = 0; count < 150; count++) setTimeout(more, count)
      })
    }
  })
  const { session } = await server.connect()
  session.send('row', 'kept')
  const readers = await Promise.all(Array.from({ length: 8 }, () => openReader(server, '/plain', { frozen: true })))
  await until(() => server.app.tether.stats().streams === 1, 'their end')
  t.ok(readers.length === 8 && server.app.tether.stats().overflowDisconnects >= 8)
  t.equal(session.connected, true)
  t.equal(session.stats.heldFrames, 1)
})

t.test('events that wait are counted: beyond their part they are refused, and nothing is lost', async (t) => {
  const limit = 1_000_000
  const ran: string[] = []
  let release = () => {}
  const gate = new Promise<void>((resolve) => { release = resolve })
  const server = await startLive(t, {
    tether: { maxBufferedBytes: limit },
    live: { commandBuffer: 64, on: { say: async (session, { text }) => { await gate; ran.push(`${session.id} ${text.trim()}`) } } }
  })
  const sessions = await Promise.all(Array.from({ length: 12 }, async () => (await server.connect()).session))
  const accepted: string[] = []
  let busy = 0
  for (let round = 1; round <= 10; round++) {
    for (const session of sessions) {
      const name = `${round}`
      const answer = await post(server, session.id, { event: 'say', data: { text: name.padEnd(20_000) }, seq: accepted.filter((each) => each.startsWith(session.id)).length + 1 })
      if (answer.status === 202) accepted.push(`${session.id} ${name}`)
      else {
        refused(t, answer, 429, 'FST_ERR_TETHER_BUSY', 'beyond')
        t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
        busy++
      }
    }
  }
  const { commandMemory, bufferedMemory } = server.app.tether.stats()
  t.ok(commandMemory <= limit / 2 && commandMemory > limit / 4, `${commandMemory} bytes`)
  t.ok(bufferedMemory >= commandMemory)
  t.ok(busy > 20)
  const late = (await server.connect()).session
  t.equal((await post(server, late.id, { event: 'say', data: { text: 'x'.repeat(20_000) } })).status, 202, 'others still have their turn')
  release()
  await until(() => ran.length === accepted.length + 1, 'what was accepted')
  t.same(ran.filter((each) => !each.startsWith(late.id)).sort(), accepted.sort())
  await until(() => server.app.tether.stats().commandMemory === 0, 'nothing to be counted any more')
})

t.test('events of a session that is gone are counted no more, whether or not they end', async (t) => {
  const server = await startLive(t, { live: { handlerTimeoutMs: 0, on: { say: () => new Promise<void>(() => {}) } } })
  const { session } = await server.connect()
  for (let count = 0; count < 5; count++) await post(server, session.id, { event: 'say', data: { text: 'x'.repeat(1_000) } })
  t.ok(server.app.tether.stats().commandMemory > 5_000)
  await within(server.app.tether.drain({ timeoutMs: 0 }), 'drain')
  await until(() => server.app.tether.stats().sessions === 0, 'its end')
  t.match(server.app.tether.stats(), { commandMemory: 0, bufferedMemory: 0, bufferedBytes: 0 })
})

t.test('what was written is forgotten at replayAgeMs, on a quiet stream, a blocked one and without one', async (t) => {
  const replayAgeMs = 400
  for (const heartbeatMs of [20_000, 0]) {
    const server = await startLive(t, { upgrade: { heartbeatMs, stallTimeoutMs: 0 }, live: { replayAgeMs, replayBytes: 100_000_000, replayFrames: 10_000 } })
    const quiet = await server.connect()
    const gone = await server.connect({ headers: counting('new') })
    const blocked = await server.connect({ frozen: true })
    await fill(blocked.session)
    for (const { session } of [quiet, gone]) for (let count = 0; count < 3; count++) session.send('row', 'x')
    await until(() => [quiet, gone].every(({ reader }) => reader.updates.length === 3), 'the rows')
    const writtenAt = performance.now()
    gone.reader.destroy()
    const left = { quiet: 0, gone: 0, blocked: 0 }
    const held = () => {
      const { queuedFrames, heldFrames } = blocked.session.stats
      const now = performance.now() - writtenAt
      if (quiet.session.stats.heldFrames > 0) left.quiet = now
      if (gone.session.stats.heldFrames > 0) left.gone = now
      if (heldFrames > queuedFrames) left.blocked = now
      return now
    }
    await until(() => held() > 2 * replayAgeMs, 'twice the time')
    for (const [name, until] of Object.entries(left)) t.ok(until < 1.5 * replayAgeMs, `${name}: forgotten after ${until} ms, of ${replayAgeMs}`)
    t.ok(left.quiet > replayAgeMs / 2)
  }
})
