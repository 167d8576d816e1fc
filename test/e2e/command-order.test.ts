import t from 'tap'
import { startLive } from './harness/live.ts'
import { refused } from './harness/refusal.ts'
import { post } from './harness/request.ts'
import { range } from './harness/rows.ts'
import { turns, until, within } from './harness/until.ts'

const count = (to: number) => ({ event: 'count', data: { to } })

/** A handler that waits until it is let through. */
function gate () {
  let open!: () => void
  const opened = new Promise<void>((resolve) => { open = resolve })
  return { opened, open }
}

t.test('one command at a time, in the order of arrival, over many POSTs', async (t) => {
  const ran: number[] = []
  let running = 0
  let mostRunning = 0
  const first = gate()
  const server = await startLive(t, {
    live: {
      commandBuffer: 500,
      on: {
        count: async (session, { to }) => {
          mostRunning = Math.max(mostRunning, ++running)
          if (to === 1) await first.opened
          // Later ones would overtake if they could.
          else await turns(Math.max(0, 5 - to % 7))
          ran.push(to)
          running--
        }
      }
    }
  })
  const { session } = await server.connect()
  for (const to of range(1, 60)) {
    if (to % 3 === 0) session.update(() => { ran.push(to) })
    else t.equal((await post(server, session.id, count(to))).status, 202)
  }
  t.same(ran, [], 'the first has not settled yet')
  first.open()
  await until(() => ran.length === 60, 'all of them')
  t.same(ran, range(1, 60))
  t.equal(mostRunning, 1)

  t.test('also when they come at once', async (t) => {
    ran.length = 0
    const answers = await Promise.all(range(101, 160).map((to) => post(server, session.id, [count(to), count(to + 1_000)])))
    t.ok(answers.every(({ status }) => status === 202))
    await until(() => ran.length === 120, 'all of them')
    t.equal(mostRunning, 1)
    t.same([...ran].sort((left, right) => left - right), [...range(101, 160), ...range(1_101, 1_160)], 'each once')
    for (const to of range(101, 160)) t.equal(ran.indexOf(to + 1_000) - ran.indexOf(to), 1, 'a batch stays together')
  })
})

t.test('a slow session holds up no other', async (t) => {
  const slow = gate()
  const ran: string[] = []
  const server = await startLive(t, {
    live: {
      initialState: (request) => request.headers['x-name'],
      on: {
        ping: async (session) => {
          if (session.state === 'slow') await slow.opened
          ran.push(session.state as string)
        }
      }
    }
  })
  const { session: one } = await server.connect({ headers: { 'x-name': 'slow' } })
  const { session: two } = await server.connect({ headers: { 'x-name': 'fast' } })
  await post(server, one.id, { event: 'ping', data: {} })
  await post(server, two.id, { event: 'ping', data: {} })
  await until(() => ran.length === 1, 'the fast one')
  t.same(ran, ['fast'])
  slow.open()
  await until(() => ran.length === 2, 'the slow one')
})

t.test('a full channel', async (t) => {
  const blocked = gate()
  const ran: unknown[] = []
  const server = await startLive(t, {
    live: {
      commandBuffer: 3,
      on: {
        ping: () => blocked.opened,
        count: (session, { to }) => { ran.push(to) }
      },
      onDisconnect: () => { ran.push('onDisconnect') },
      onJoin: () => { ran.push('onJoin') },
      onClose: () => { ran.push('onClose') }
    }
  })
  const { reader, session } = await server.connect()
  await post(server, session.id, { event: 'ping', data: {} })
  await until(() => session.stats.queuedCommands === 0, 'ping to run')
  for (const to of range(1, 2)) t.equal((await post(server, session.id, count(to))).status, 202)

  const batch = await post(server, session.id, [count(3), count(4)])
  refused(t, batch, 429, 'FST_ERR_TETHER_BUSY', 'a batch that does not fit')
  t.match(batch.headers['retry-after'], /^[1-9][0-9]*$/)
  t.equal(session.stats.queuedCommands, 2, 'is refused as a whole')
  t.equal((await post(server, session.id, count(3))).status, 202)
  for (const path of ['/live', '/live/count']) {
    const answer = await post(server, session.id, path === '/live' ? count(4) : { to: 4 }, path)
    refused(t, answer, 429, 'FST_ERR_TETHER_BUSY', `a single one by POST ${path}`)
    t.match(answer.headers['retry-after'], /^[1-9][0-9]*$/)
  }
  await t.rejects(session.update(() => {}), { code: 'FST_ERR_TETHER_BUSY' }, 'an update')
  t.match(session.stats, { queuedCommands: 3, eventsAccepted: 4 })

  server.live.group('hosts').add(session)
  reader.destroy()
  await until(() => session.stats.queuedCommands === 5, 'hooks to be queued past the bound')
  const closing = session.close()
  blocked.open()
  await within(closing, 'close')
  t.same(ran, [1, 2, 3, 'onJoin', 'onDisconnect', 'onClose'])
})

t.test('a channel that was full takes events again', async (t) => {
  let blocked = gate()
  const ran: number[] = []
  const server = await startLive(t, { live: { commandBuffer: 2, on: { ping: () => blocked.opened, count: (session, { to }) => { ran.push(to) } } } })
  const { session } = await server.connect()
  for (let round = 0; round < 3; round++) {
    blocked = gate()
    ran.length = 0
    await post(server, session.id, { event: 'ping', data: {} })
    await until(() => session.stats.queuedCommands === 0, 'ping to run')
    t.equal((await post(server, session.id, [count(1), count(2)])).status, 202)
    t.equal((await post(server, session.id, count(3))).status, 429)
    blocked.open()
    await until(() => ran.length === 2, 'what was accepted')
    t.equal((await post(server, session.id, count(4))).status, 202)
    await until(() => ran.length === 3, 'what was accepted then')
    t.same(ran, [1, 2, 4])
  }
})

t.test('a session with much to do leaves the loop to others in between', async (t) => {
  const server = await startLive(t, { live: { commandBuffer: 500 } })
  const { session } = await server.connect()
  let ran = 0
  const seen: number[] = []
  setImmediate(() => { seen.push(ran) })
  for (let update = 0; update < 500; update++) session.update(() => { ran++ })
  await until(() => ran === 500, 'all of them')
  t.equal(seen.length, 1)
  t.ok(seen[0]! > 0 && seen[0]! < 500, `what was scheduled before them ran after ${seen[0]}`)
})
