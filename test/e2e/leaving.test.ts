import t from 'tap'
import { exactly } from './harness/claim.ts'
import { startLive } from './harness/live.ts'
import { refused } from './harness/refusal.ts'
import { post, request } from './harness/request.ts'
import { until } from './harness/until.ts'

// The grace is two seconds, so everything that waits for it waits at the same time.
t.test('POST url/tether.close', async (t) => {
  const closes = new Map<string, { reason: string, at: number }>()
  const server = await startLive(t, {
    live: {
      onClose: (session, reason) => { closes.set(session.id, { reason, at: performance.now() }) },
      bind: (request) => request.headers['x-user'] as string | undefined
    }
  })
  const formType = { 'content-type': 'application/x-www-form-urlencoded' }
  const leave = (headers: Record<string, string>, body: string) => request(server, '/live/tether.close', { method: 'POST', headers, body })

  const byHeader = await server.connect()
  const byForm = await server.connect()
  const byJson = await server.connect()
  const connected = await server.connect()
  const reloaded = await server.connect()
  const repeated = await server.connect()
  const staying = await server.connect()
  const startedAt = performance.now()

  t.equal((await request(server, '/live/tether.close', { method: 'POST', headers: { 'x-tether-session': byHeader.session.id } })).status, 202, 'by header, without a body')
  t.equal((await leave(formType, `tether-session=${byForm.session.id}`)).status, 204, 'by a form, as sendBeacon sends URLSearchParams')
  t.equal((await leave({ 'content-type': 'application/json' }, JSON.stringify({ 'tether-session': byJson.session.id }))).status, 202, 'by JSON, as sendBeacon sends a Blob')
  t.equal((await post(server, connected.session.id, {}, '/live/tether.close')).status, 202)
  t.equal((await post(server, reloaded.session.id, {}, '/live/tether.close')).status, 202)
  t.equal((await post(server, repeated.session.id, {}, '/live/tether.close')).status, 202)
  for (const { reader } of [byHeader, byForm, byJson, reloaded, repeated]) reader.destroy()

  refused(t, await leave(formType, ''), 400, 'FST_ERR_VALIDATION', 'nobody in particular')
  refused(t, await leave({ 'content-type': 'application/json' }, '{"tether-session":5}'), 400, 'FST_ERR_VALIDATION', 'a number')
  refused(t, await leave(formType, `tether-session=${'x'.repeat(24)}`), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'one that is not there')
  refused(t, await leave({ ...formType, 'x-user': 'eve' }, `tether-session=${staying.session.id}`), 403, 'FST_ERR_TETHER_BINDING', 'someone else\'s')
  refused(t, await leave({ ...formType, origin: 'https://evil.example' }, `tether-session=${staying.session.id}`), 403, 'FST_ERR_TETHER_ORIGIN', 'from another site')
  refused(t, await post(server, staying.session.id, { event: 'tether.close', data: {} }), 400, 'FST_ERR_VALIDATION', 'it is no event')

  await until(() => !reloaded.session.connected, 'the page to be gone')
  const again = await server.connect({ headers: exactly(reloaded.session.id, 0) })
  t.equal(again.session, reloaded.session, 'a reload within the grace finds its session')
  t.equal(again.reader.controls[0]!.verdict, 'resumed')
  t.equal((await post(server, byForm.session.id, { event: 'ping', data: {} })).status, 202, 'within the grace it takes events')

  await until(() => performance.now() - startedAt > 1_000, 'half of the grace')
  t.equal(closes.size, 0, 'nobody is gone before the grace is over')
  t.equal((await post(server, repeated.session.id, {}, '/live/tether.close')).status, 202, 'said twice')

  await until(() => closes.size >= 5, 'the grace to be over')
  for (const { session } of [byHeader, byForm, byJson, connected, repeated]) {
    t.equal(closes.get(session.id)?.reason, 'left')
    const after = (closes.get(session.id)?.at ?? 0) - startedAt
    t.ok(after >= 1_990, `after ${Math.round(after)} ms`)
  }
  await until(() => connected.reader.ended, 'the end of a stream that was still open')
  t.same(connected.reader.controls.at(-1), { type: 'goodbye', reason: 'left', reconnect: true })
  refused(t, await post(server, byForm.session.id, { event: 'ping', data: {} }), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'a POST afterwards')
  const late = await server.connect({ headers: exactly(byHeader.session.id, 0) })
  t.equal(late.reader.controls[0]!.verdict, 'expired', 'who comes back later gets a new one')

  const secondsAt = performance.now()
  await until(() => performance.now() - secondsAt > 300, 'a while more')
  t.equal(reloaded.session.connected, true, 'the page that came back stays')
  t.equal(staying.session.connected, true, 'as does who never left')
  t.equal(closes.size, 5)
})
