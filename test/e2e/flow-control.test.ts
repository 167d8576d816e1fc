import { randomBytes } from 'node:crypto'
import t from 'tap'
import { defaults } from '../../schemas/defaults.ts'
import { fill } from './harness/fill.ts'
import { startLive } from './harness/live.ts'
import { post } from './harness/request.ts'
import { protocols } from './harness/server.ts'
import { isSettled, turns, until, within } from './harness/until.ts'

const idsFrom = (session: { id: string }, first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => `${session.id}.${first + index}`)

for (const protocol of protocols) {
  t.test(`${protocol}: send blocks exactly when writeBuffer frames wait, until the reader reads`, async (t) => {
    for (const [writeBuffer, capacity] of [[0, 4], [1, 1], [4, 4], [16, 16]] as const) {
      const { connect, app } = await startLive(t, { protocol, upgrade: { writeBuffer } })
      const { reader, session } = await connect({ frozen: true })
      const { sent, blocked } = await fill(session)
      t.match(session.stats, { queuedFrames: capacity, stalled: true }, `writeBuffer ${writeBuffer}`)
      t.equal(app.tether.stats().stalled, 1)
      t.ok(app.tether.stats().stalledMs > 0, 'a stall counts while it goes on')
      const more = [1, 2, 3].map(() => session.send('row', 'more'))
      for (const promise of more) t.notOk(await isSettled(promise))
      t.equal(session.stats.queuedFrames, capacity + 3)

      reader.resume()
      t.same(await within(Promise.all([blocked, ...more]), 'the blocked sends'), [true, true, true, true])
      await until(() => reader.updates.length === sent + 3, 'everything that waited')
      t.same(reader.updates.map((update) => update.id), idsFrom(session, 1, sent + 3), 'in order, nothing lost')
      t.match(session.stats, { queuedFrames: 0, queuedBytes: 0, stalled: false, dropped: 0 })
      t.ok(session.stats.stalledMs > 0)
      t.match(app.tether.stats(), { stalled: 0, stalls: session.stats.stalls, stalledMs: session.stats.stalledMs })
      reader.destroy()
    }
  })

  t.test(`${protocol}: the loop stalls also when the handler does not await send; a full channel answers 429`, async (t) => {
    const commandBuffer = 5
    const ran: string[] = []
    const server = await startLive(t, {
      protocol,
      upgrade: { writeBuffer: 2 },
      live: {
        commandBuffer,
        on: {
          ping: (session) => {
            ran.push('ping')
            for (let count = 0; count < 10; count++) session.send('row', `flood ${count}`)
          },
          say: (session, { text }) => {
            ran.push(text)
            session.send('note', { text })
          }
        }
      }
    })
    const { reader, session } = await server.connect({ frozen: true })
    const { sent } = await fill(session)
    t.equal((await post(server, session.id, { event: 'ping', data: {} })).status, 202)
    t.same(ran, [], 'not even the first runs while the write buffer is full')
    for (let count = 1; count < commandBuffer; count++) {
      t.equal((await post(server, session.id, { event: 'say', data: { text: `${count}` } })).status, 202)
    }
    t.equal(session.stats.queuedCommands, commandBuffer)
    const refused = await post(server, session.id, { event: 'say', data: { text: 'too much' } })
    t.equal(refused.status, 429)
    t.equal(refused.json.code, 'FST_ERR_TETHER_BUSY')
    t.match(refused.headers['retry-after'], /^[1-9]\d*$/)
    await t.rejects(session.update(() => ran.push('update')), { code: 'FST_ERR_TETHER_BUSY' })
    await turns()
    t.same(ran, [])

    reader.resume()
    await until(() => reader.updates.length === sent + 10 + commandBuffer - 1, 'all updates')
    t.same(ran, ['ping', '1', '2', '3', '4'])
    t.same(reader.updates.slice(sent).map((update) => update.data), [
      ...Array.from({ length: 10 }, (_, index) => `flood ${index}`),
      ...[1, 2, 3, 4].map((count) => `{"text":"${count}"}`)
    ])
    t.same(reader.updates.map((update) => update.id), idsFrom(session, 1, reader.updates.length))
    t.equal((await post(server, session.id, { event: 'say', data: { text: 'again' } })).status, 202, 'the channel takes events again')
  })

  t.test(`${protocol}: a handler that floods stalls the one behind it`, async (t) => {
    const ran: string[] = []
    // Far more than the kernel, or the stream's window, takes.
    const flood = protocol === 'http/1.1' ? 150 : 20
    const large = randomBytes(98_304).toString('base64')
    const server = await startLive(t, {
      protocol,
      live: {
        queueBytes: 64 * 1024 * 1024,
        on: {
          ping: (session) => {
            ran.push('ping')
            for (let count = 0; count < flood; count++) session.send('row', large)
          },
          say: () => { ran.push('say') }
        }
      }
    })
    const { reader, session } = await server.connect({ frozen: true })
    await post(server, session.id, [{ event: 'ping', data: {} }, { event: 'say', data: { text: '' } }])
    await until(() => session.stats.stalled, 'the stall')
    await turns(20)
    t.same(ran, ['ping'])
    t.equal(session.stats.queuedCommands, 1)
    reader.resume()
    await until(() => ran.length === 2, 'the next handler')
    await until(() => reader.updates.length === flood, 'all updates')
  })

  t.test(`${protocol}: ten updates to an idle socket never stall`, async (t) => {
    const { connect } = await startLive(t, { protocol, upgrade: { writeBuffer: 1 } })
    const { reader, session } = await connect()
    for (let round = 1; round <= 5; round++) {
      const promises = Array.from({ length: 10 }, (_, index) => session.send('row', `${index}`.padEnd(1_000, '.')))
      t.notOk(session.stats.stalled)
      t.ok((await Promise.all(promises)).every((granted) => granted))
      await until(() => reader.updates.length === round * 10, 'the updates')
    }
    t.equal(session.stats.stalls, 0)
    t.equal(session.stats.stalledMs, 0)
  })

  t.test(`${protocol}: without a stream send never blocks`, async (t) => {
    const { connect, app } = await startLive(t, { protocol, upgrade: { writeBuffer: 1 }, live: { queueFrames: 100 } })
    const { reader, session } = await connect()
    reader.destroy()
    await until(() => !session.connected, 'the disconnect')
    for (let count = 0; count < 500; count++) {
      if (!await isSettled(session.send('row', `${count}`))) t.fail(`send ${count} blocks`)
    }
    t.equal(await session.send('row', 'last'), true)
    t.match(session.stats, { queuedFrames: 100, stalled: false, stalls: 0, dropped: 401 })
    t.equal(app.tether.stats().sessions, 1)
  })

  t.test(`${protocol}: a handler that sends for as long as it may lets the event loop turn`, async (t) => {
    const sends = 5_000
    for (const leaves of [false, true]) {
      let done = 0
      const turnsDuring: number[] = []
      const server = await startLive(t, {
        protocol,
        live: {
          on: {
            ping: async (session) => {
              if (leaves) await until(() => !session.connected, 'the disconnect')
              let turned = 0
              let running = true
              const watch = () => {
                turned++
                if (running) setImmediate(watch)
              }
              setImmediate(watch)
              for (done = 0; done < sends; done++) {
                if (!await session.send('row', 'x')) break
              }
              running = false
              turnsDuring.push(turned)
            }
          }
        }
      })
      const { reader, session } = await server.connect()
      await post(server, session.id, { event: 'ping', data: {} })
      if (leaves) reader.destroy()
      await until(() => turnsDuring.length === 1, 'the handler')
      t.equal(done, sends)
      const least = Math.floor(sends / defaults.fixed.sendsPerTurn)
      t.ok(turnsDuring[0]! >= least, `${turnsDuring[0]} turns, at least ${least}; ${leaves ? 'without a reader' : 'with one'}`)
      reader.destroy()
    }
  })
}
