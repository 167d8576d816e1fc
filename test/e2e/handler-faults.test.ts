import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { LogRecord } from './harness/server.ts'
import { startLive } from './harness/live.ts'
import { post } from './harness/request.ts'
import { until, within } from './harness/until.ts'

/** What the log says of a failed handler, beside the error itself. */
function told (record: LogRecord) {
  return [record.msg, record.command, record.err?.message]
}

t.test('a handler that throws or rejects is logged and reported, and the next command runs', async (t) => {
  const reported: unknown[] = []
  const said: string[] = []
  const server = await startLive(t, {
    live: {
      on: {
        ping: () => { throw new Error('thrown') },
        count: async () => { throw new Error('rejected') },
        say: (session, { text }) => { said.push(text) }
      },
      onError: (session, error, { command, live }) => { reported.push([session.id, (error as Error).message, command, live === server.live]) }
    }
  })
  const { session } = await server.connect()
  const answer = await post(server, session.id, [
    { event: 'ping', data: {} },
    { event: 'say', data: { text: 'one' } },
    { event: 'count', data: { to: 1 } },
    { event: 'say', data: { text: 'two' } }
  ])
  t.equal(answer.status, 202, 'accepted means queued')
  await until(() => said.length === 2, 'the events after those that fail')
  t.same(said, ['one', 'two'])
  t.same(reported, [[session.id, 'thrown', 'ping', true], [session.id, 'rejected', 'count', true]])
  t.same(server.errors().map(told), [['a handler of a tether session failed', 'ping', 'thrown'], ['a handler of a tether session failed', 'count', 'rejected']])
  for (const record of server.errors()) {
    t.equal(record.session, `${session.id.slice(0, 6)}…`, 'the id is shortened')
    t.match(record.err!.stack, /handler-faults/, 'with the stack of the one who threw')
  }
  t.equal(session.stats.handlerErrors, 2)
  t.equal(server.app.tether.stats().handlerErrors, 2)
  t.equal(session.connected, true, 'the session goes on')
})

t.test('whatever is thrown, and whatever onError does', async (t) => {
  const said: string[] = []
  const things: unknown[] = [undefined, null, 0, 'a string', Object.create(null)]
  const reported: unknown[] = []
  const server = await startLive(t, {
    live: {
      on: {
        count: (session, { to }) => { throw things[to] },
        say: (session, { text }) => { said.push(text) }
      },
      onError: (session, error) => {
        reported.push(error)
        throw new Error('onError itself')
      }
    }
  })
  const { session } = await server.connect()
  await post(server, session.id, things.map((thing, to) => ({ event: 'count', data: { to } })))
  await post(server, session.id, { event: 'say', data: { text: 'on' } })
  await until(() => said.length === 1, 'the event after those that fail')
  t.same(reported, things)
  t.equal(server.errors().filter(({ command, msg }) => command === 'count' && msg.includes('handler')).length, things.length)
  t.equal(server.errors().filter(({ command, err }) => command === 'onError' && err?.message === 'onError itself').length, things.length, 'what onError throws is logged as well')
})

t.test('hooks that fail are reported by name and stop nothing', async (t) => {
  const reported: unknown[] = []
  const fail = (name: string) => async () => { throw new Error(`in ${name}`) }
  const server = await startLive(t, {
    live: {
      onConnect: fail('onConnect'),
      onDisconnect: fail('onDisconnect'),
      onClose: fail('onClose'),
      onJoin: fail('onJoin'),
      onLeave: fail('onLeave'),
      onError: (session, error, { command }) => { reported.push([command, (error as Error).message]) }
    }
  })
  const { reader, session } = await server.connect()
  server.live.group('all').add(session)
  await until(() => reported.length === 2, 'onConnect and onJoin')
  reader.destroy()
  await until(() => reported.length === 3, 'onDisconnect')
  await within(session.close(), 'close')
  t.same(reported, ['onConnect', 'onJoin', 'onDisconnect', 'onLeave', 'onClose'].map((name) => [name, `in ${name}`]))
  t.equal(server.app.tether.stats().sessions, 0)
})

t.test('handlerTimeoutMs', async (t) => {
  const reported: Array<{ code: unknown, command: string, message: string }> = []
  const said: string[] = []
  let rejectLate!: (error: Error) => void
  const times = { began: 0, next: 0 }
  const server = await startLive(t, {
    live: {
      handlerTimeoutMs: 60,
      on: {
        ping: () => {
          times.began = performance.now()
          return new Promise<void>(() => {})
        },
        count: () => new Promise<void>((_resolve, reject) => { rejectLate = reject }),
        say: (session, { text }) => {
          times.next = performance.now()
          said.push(text)
        }
      },
      onError: (session, error, { command }) => {
        const { code, message } = error as Error & { code?: unknown }
        reported.push({ code, command, message })
      }
    }
  })

  t.test('lets the session go on without a handler that never settles', async (t) => {
    const { session } = await server.connect()
    await post(server, session.id, [{ event: 'ping', data: {} }, { event: 'say', data: { text: 'next' } }])
    await until(() => said.length === 1, 'the next event')
    t.ok(times.next - times.began >= 60, 'not before its time')
    t.same(reported, [{ code: 'FST_ERR_TETHER_HANDLER_TIMEOUT', command: 'ping', message: 'The handler of "ping" did not settle within 60 ms' }])
    t.match(server.errors().map(told), [['a handler of a tether session failed', 'ping', /did not settle within 60 ms/]])
  })

  t.test('tells what such a handler throws in the end', async (t) => {
    reported.length = 0
    const { session } = await server.connect()
    await post(server, session.id, { event: 'count', data: { to: 1 } })
    await until(() => reported.length === 1, 'the time-out')
    rejectLate(new Error('late'))
    await until(() => reported.length === 2, 'the late error')
    t.match(reported, [{ code: 'FST_ERR_TETHER_HANDLER_TIMEOUT', command: 'count' }, { code: undefined, command: 'count', message: 'late' }])
  })

  t.test('lets such a session be closed', async (t) => {
    const { reader, session } = await server.connect()
    await post(server, session.id, { event: 'ping', data: {} })
    await within(session.close('stuck'), 'close behind a handler that never settles')
    await until(() => reader.ended, 'the end of the stream')
    t.match(reader.controls.at(-1), { type: 'goodbye', reason: 'stuck' })
  })

  t.test('bounds hooks and updates as well', async (t) => {
    reported.length = 0
    const { session } = await server.connect()
    await t.rejects(session.update(() => new Promise<void>(() => {})), { code: 'FST_ERR_TETHER_HANDLER_TIMEOUT' })
    t.match(reported, [{ command: 'update' }])

    const hanging = await startLive(t, { live: { handlerTimeoutMs: 60, onClose: () => new Promise<void>(() => {}) } })
    const { session: other } = await hanging.connect()
    await within(other.close(), 'close, whose onClose never settles')
    t.equal(hanging.app.tether.stats().sessions, 0)
  })

  t.test('does not count the time in which the write buffer is full', async (t) => {
    const limitMs = 1_000
    const steps: string[] = []
    const pass = (ms: number) => new Promise((resolve) => { setTimeout(resolve, ms) })
    const slow = await startLive(t, {
      upgrade: { writeBuffer: 1 },
      live: {
        handlerTimeoutMs: limitMs,
        on: {
          ping: async (session) => {
            session.send('row', randomBytes(12_000_000).toString('base64'))
            steps.push('blocked')
            await session.send('row', 'next')
            steps.push('free')
            await pass(0.7 * limitMs)
            steps.push('settled')
          },
          say: () => { steps.push('next') }
        }
      }
    })
    const { reader, session } = await slow.connect({ frozen: true })
    await post(slow, session.id, [{ event: 'ping', data: {} }, { event: 'say', data: { text: '' } }])
    await until(() => session.stats.stalled, 'the stall')
    const stalledAt = performance.now()
    await until(() => performance.now() - stalledAt > 1.5 * limitMs, 'more than the handler may take')
    t.same(steps, ['blocked'])
    reader.resume()
    await until(() => steps.includes('next'), 'the next event')
    t.same(steps, ['blocked', 'free', 'settled', 'next'])
    t.same(slow.errors(), [])

    // Once it is free again, its own time is bounded as ever.
    steps.length = 0
    await t.rejects(session.update(async () => {
      session.send('row', randomBytes(12_000_000).toString('base64'))
      await session.send('row', 'next')
      await new Promise<void>(() => {})
    }), { code: 'FST_ERR_TETHER_HANDLER_TIMEOUT', message: `The handler of "update" did not settle within ${limitMs} ms` })
  })

  t.test('0 means that a handler may take for ever', async (t) => {
    let release!: () => void
    const patient = await startLive(t, {
      live: { handlerTimeoutMs: 0, on: { ping: () => new Promise<void>((resolve) => { release = resolve }), say: () => { said.push('patient') } } }
    })
    said.length = 0
    const { session } = await patient.connect()
    const { session: hasty } = await server.connect()
    await post(patient, session.id, [{ event: 'ping', data: {} }, { event: 'say', data: { text: '' } }])
    await post(server, hasty.id, [{ event: 'ping', data: {} }, { event: 'say', data: { text: 'hasty' } }])
    await until(() => said.includes('hasty'), 'the time-out of the other server')
    t.same(said, ['hasty'])
    release()
    await until(() => said.includes('patient'), 'the next event')
  })
})

t.test('a page that left while its handler hangs costs no time', async (t) => {
  const server = await startLive(t, { live: { on: { ping: () => new Promise<void>(() => {}) } } })
  const { reader, session } = await server.connect()
  await post(server, session.id, { event: 'ping', data: {} })
  await post(server, session.id, {}, '/live/tether.close')
  reader.destroy()
  await until(() => session.signal.aborted, 'the end of the grace')
  const { setTimeout } = globalThis
  let timers = 0
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    if (new Error().stack!.includes('deadline-queue')) timers++
    return setTimeout(...args)
  }) as never
  t.teardown(() => { globalThis.setTimeout = setTimeout })
  const since = performance.now()
  await until(() => performance.now() - since > 100, 'some time')
  t.ok(timers <= 3, `the session was looked at ${timers} times in 100 ms`)
})
