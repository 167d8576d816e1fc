import t from 'tap'
import { SendGate } from '../../../plugin/delivery/send-gate.ts'
import { defaults } from '../../../schemas/defaults.ts'

t.test('all who wait go on together', async (t) => {
  const room = new SendGate()
  const first = room.wait()
  t.equal(room.wait(), first, 'a caller that ignores the promise costs nothing')
  room.open(true)
  t.equal(await first, true)
  const second = room.wait()
  t.not(second, first, 'who comes later waits for the next time')
  room.open(false)
  t.equal(await second, false)
  t.equal(await first, true)
})

t.test('opening an empty room leaves nothing behind', async (t) => {
  const room = new SendGate()
  room.open(true)
  const waiting = room.wait()
  room.open(false)
  t.equal(await waiting, false)
})

t.test('who need not wait gets a promise that is there already, but for every so many', async (t) => {
  const { sendsPerTurn } = defaults.fixed
  const room = new SendGate()
  t.equal(await SendGate.refused, false)
  for (let round = 1; round <= 3; round++) {
    let hasTurned = false
    setImmediate(() => { hasTurned = true })
    for (let count = 1; count < sendsPerTurn; count++) {
      if (await room.grant() !== true) t.fail('refused')
    }
    t.notOk(hasTurned, `${sendsPerTurn - 1} at once`)
    t.equal(await room.grant(), true)
    t.ok(hasTurned, 'the next one lets the event loop turn')
  }
})
