import t from 'tap'
import { exactly } from './harness/claim.ts'
import { startLive, type LiveSession } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { post, request } from './harness/request.ts'
import { range, rows } from './harness/rows.ts'
import { turns, until, within } from './harness/until.ts'

t.test('members', async (t) => {
  const server = await startLive(t)
  const { session: one } = await server.connect()
  const { session: two } = await server.connect()
  const hosts = server.live.group('hosts')
  t.equal(hosts.name, 'hosts')
  t.equal(hosts.size, 0)
  t.same([...hosts], [])
  t.equal(hosts.add(one), true)
  t.equal(hosts.add(one), false, 'in already')
  t.equal(hosts.add(two), true)
  t.equal(server.live.group('hosts').size, 2, 'a group is known by its name')
  t.equal(server.live.group('hosts').has(one), true)
  t.equal(server.live.group('other').has(one), false)
  t.same([...hosts].map(({ id }) => id), [one.id, two.id])
  t.equal(hosts.delete(one), true)
  t.equal(hosts.delete(one), false, 'out already')
  t.equal(hosts.has(one), false)
  t.same([...hosts], [two])
  for (const name of ['', 5, undefined, null]) t.throws(() => server.live.group(name as never), { code: 'FST_ERR_TETHER_ARGUMENT' }, `a group called ${String(name)}`)
  for (const name of ['__proto__', 'constructor', 'a\nb', 'ä'.repeat(500)]) {
    t.equal(server.live.group(name).size, 0)
    t.equal(server.live.group(name).add(one), true, `a group called ${name.slice(0, 20)}`)
    t.same([...server.live.group(name)], [one])
  }
})

t.test('sessions of another URL are refused', async (t) => {
  let foreign: unknown
  const server = await startLive(t, {
    setup: (app) => { app.tether.stateful('/other', { contract: { events: {}, updates: {} }, on: {}, onConnect: (session) => { foreign = session } }) }
  })
  await openReader(server, '/other')
  await until(() => foreign, 'the other session')
  for (const stranger of [foreign, null, undefined, {}, 'row']) {
    t.throws(() => server.live.group('hosts').add(stranger as never), { code: 'FST_ERR_TETHER_ARGUMENT' })
    t.throws(() => server.live.group('hosts').broadcastExcept(stranger as never, 'row', '1'), { code: 'FST_ERR_TETHER_ARGUMENT' })
  }
  t.equal(server.live.stats.groups, 0)
})

t.test('broadcast', async (t) => {
  const server = await startLive(t)
  const connections = [await server.connect(), await server.connect({ headers: { 'x-tether-session': 'new' } }), await server.connect()]
  const [one, two, three] = connections as [typeof connections[0], typeof connections[0], typeof connections[0]]
  const hosts = server.live.group('hosts')
  hosts.add(one.session)
  hosts.add(two.session)

  t.equal(hosts.broadcast('row', '1'), 2, 'the number of members')
  t.equal(hosts.broadcastExcept(one.session, 'row', '2'), 1)
  t.equal(hosts.broadcastExcept(three.session, 'row', '3'), 2, 'except one who is no member')
  t.equal(server.live.broadcast('row', '4'), 3, 'everybody')
  t.equal(server.live.group('nobody').broadcast('row', '5'), 0)
  t.equal(server.live.group('nobody').broadcastExcept(one.session, 'row', '6'), 0)
  one.session.send('row', '7')
  hosts.delete(two.session)
  t.equal(hosts.broadcast('row', '8'), 1)
  await until(() => rows(one.reader).at(-1) === 8 && rows(two.reader).at(-1) === 4 && rows(three.reader).at(-1) === 4, 'the last row of each')
  t.same(rows(one.reader), [1, 3, 4, 7, 8], 'in the order of the calls, sends among them')
  t.same(rows(two.reader), [1, 2, 3, 4], 'what was broadcast before it left the group')
  t.same(rows(three.reader), [4])
  t.same(one.reader.updates.map(({ id }) => id), range(1, 5).map((seq) => `${one.session.id}.${seq}`), 'numbered for each on its own')

  t.throws(() => hosts.broadcast('note', {} as never), { code: 'FST_ERR_TETHER_SERIALIZATION' }, 'nobody gets what cannot be serialised')
  t.throws(() => hosts.broadcast('nothing' as never, {} as never), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE' })
  t.throws(() => server.live.group('nobody').broadcast('nothing' as never, {} as never), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE' }, 'with members or without')
  await turns()
  t.equal(one.session.stats.framesWritten, 5)
})

t.test('a member without a stream gets it when it comes back', async (t) => {
  const server = await startLive(t)
  const { reader, session } = await server.connect()
  server.live.group('hosts').add(session)
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  t.equal(server.live.group('hosts').has(session), true, 'it stays a member')
  t.equal(server.live.group('hosts').broadcast('row', '1'), 1)
  const again = await server.connect({ headers: exactly(session.id, 0) })
  await until(() => rows(again.reader).length === 1, 'the row')
  t.same(rows(again.reader), [1])
})

t.test('onJoin and onLeave', async (t) => {
  const ran: unknown[] = []
  const server = await startLive(t, {
    live: {
      onConnect: (session, { live }) => {
        ran.push('onConnect')
        live.group('hosts').add(session)
      },
      onJoin: async (session, name, { live }) => {
        await turns(2)
        ran.push(['onJoin', name, live.group(name).has(session), live === server.live])
      },
      onLeave: (session, name, { live }) => { ran.push(['onLeave', name, live.group(name).has(session), live === server.live]) },
      onClose: (session, _reason, { live }) => { ran.push(['onClose', live.group('hosts').size]) },
      on: { ping: (session, data, { live }) => { live.group('hosts').delete(session) } }
    }
  })
  const { session } = await server.connect()
  await until(() => ran.length === 2, 'onJoin')
  server.live.group('hosts').add(session)
  await post(server, session.id, { event: 'ping', data: {} })
  await post(server, session.id, { event: 'ping', data: {} })
  server.live.group('cpus').add(session)
  server.live.group('disks').add(session)
  await until(() => ran.length === 5, 'onJoin of two more')
  await within(session.close(), 'close')
  t.same(ran, [
    'onConnect',
    ['onJoin', 'hosts', true, true],
    ['onLeave', 'hosts', false, true],
    ['onJoin', 'cpus', true, true],
    ['onJoin', 'disks', true, true],
    ['onLeave', 'cpus', false, true],
    ['onLeave', 'disks', false, true],
    ['onClose', 0]
  ], 'each once, and a session that closes leaves every group')
  t.equal(server.live.group('cpus').add(session), false, 'a closed session cannot join')
  t.match(server.live.stats, { sessions: 0, connected: 0, groups: 0 })
})

t.test('a group without members holds nothing', async (t) => {
  const server = await startLive(t)
  const { session } = await server.connect()
  for (let count = 0; count < 1_000; count++) {
    const group = server.live.group(`group ${count}`)
    group.broadcast('row', 'x')
    group.add(session)
    if (count % 2 === 0) group.delete(session)
  }
  t.equal(server.live.stats.groups, 500)
  await session.close()
  t.equal(server.live.stats.groups, 0)
})

t.test('a session that closes gets what its handler still sends, and no broadcast', async (t) => {
  const server = await startLive(t)
  const { reader, session } = await server.connect()
  let release!: () => void
  session.update(async () => new Promise<void>((resolve) => { release = resolve }))
  await turns()
  const closed = session.close()
  const sendInTurns = async (sender: LiveSession) => {
    for (const row of range(1, 4)) {
      sender.send('row', String(row))
      await turns()
    }
  }
  await sendInTurns(session)
  const other = await server.connect()
  await sendInTurns(other.session)
  t.equal(server.live.broadcast('row', '5'), 1, 'the other session')
  await until(() => rows(other.reader).length === 5, 'the broadcast')
  release()
  await within(closed, 'close')
  await until(() => reader.ended, 'the end of the stream')
  t.same(rows(reader), [1, 2, 3, 4])
})

t.test('a prepared session that is closed unclaimed leaves its groups, too', async (t) => {
  const ran: string[] = []
  const server = await startLive(t, {
    live: { onJoin: (_session, name) => { ran.push(`joined ${name}`) }, onLeave: (_session, name) => { ran.push(`left ${name}`) } },
    setup: (app) => { app.get('/prepare', (request) => server.live.prepare(request).then((id) => ({ id }))) }
  })
  const { id } = (await request(server, '/prepare')).json
  const session = server.live.get(id)!
  server.live.group('hosts').add(session)
  await within(session.close(), 'close')
  t.same(ran, ['joined hosts', 'left hosts'])
  t.equal(server.live.stats.groups, 0)
})
