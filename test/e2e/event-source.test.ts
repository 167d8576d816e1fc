import { EventSource } from 'eventsource'
import t from 'tap'
import type { Verdict } from '../../plugin/index.ts'
import { startLink } from './harness/link.ts'
import { startLive } from './harness/live.ts'
import { until } from './harness/until.ts'

t.test('a client of others loses nothing and gets nothing twice, however often its connection breaks', async (t) => {
  const verdicts: Verdict[] = []
  const server = await startLive(t, {
    upgrade: { retryMs: 10 },
    live: { replayFrames: 10_000, queueFrames: 10_000, onConnect: (_session, { verdict }) => { verdicts.push(verdict) } }
  })
  const link = await startLink(t, server)
  const source = new EventSource(`http://127.0.0.1:${link.port}/live`)
  t.teardown(() => source.close())
  const rows: string[] = []
  source.addEventListener('row', ({ data }) => { rows.push(data) })

  const [session] = await until(() => {
    const sessions = [...server.live.sessions]
    return sessions[0]?.connected === true && sessions
  }, 'the session')
  const cuts = 8
  let sent = 0
  for (let cut = 0; cut < cuts; cut++) {
    for (let count = 0; count < 200; count++) session!.send('row', `${++sent}`)
    // The connection breaks in the midst of what was just sent.
    await until(() => rows.length > 0, 'a row')
    link.cut()
    await until(() => verdicts.length === cut + 2, 'the client to come back')
  }
  await until(() => rows.length >= sent, `${sent} rows`)
  t.same(rows, Array.from({ length: sent }, (_, index) => `${index + 1}`))
  t.same(verdicts, ['new', ...new Array<Verdict>(cuts).fill('resumed')])
  t.equal(server.app.tether.stats().sessions, 1)
  t.same(server.errors(), [])
})

t.test('a client of others is kept from coming back once its session is closed for good', async (t) => {
  const server = await startLive(t, { upgrade: { retryMs: 10 } })
  const source = new EventSource(`${server.origin}/live`)
  t.teardown(() => source.close())
  const session = await until(() => [...server.live.sessions].find((each) => each.connected), 'the session')
  await session.close()
  await until(() => source.readyState === EventSource.CLOSED, 'the client to give up')
  t.equal(server.app.tether.stats().sessions, 0)
})

t.test('two clients of others with one session: the later keeps it, and the earlier comes back no more', async (t) => {
  const server = await startLive(t, { upgrade: { retryMs: 10 } })
  const first = await server.connect()
  const { session } = first
  session.send('row', '1')
  await until(() => first.reader.updates.length === 1, 'a row')
  first.reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  // As a tab that was duplicated has the URL of the other.
  const url = `${server.origin}/live?last-event-id=${session.id}.0`
  const open = async () => {
    const source = new EventSource(url)
    t.teardown(() => source.close())
    const rows: string[] = []
    source.addEventListener('row', ({ data }) => { rows.push(data) })
    await until(() => rows.length === 1, 'the row')
    return { source, rows }
  }
  const earlier = await open()
  const later = await open()
  await until(() => earlier.source.readyState === EventSource.CLOSED, 'the earlier to give up')
  session.send('row', '2')
  await until(() => later.rows.length === 2, 'the second row')
  t.same(later.rows, ['1', '2'])
  t.same(earlier.rows, ['1'])
  t.equal(later.source.readyState, EventSource.OPEN)
  t.match(server.app.tether.stats(), { sessions: 1, streams: 1 })
})
