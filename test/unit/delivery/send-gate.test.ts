import t from 'tap'
import { SendGate } from '../../../plugin/delivery/send-gate.ts'
import { defaults } from '../../../schemas/defaults.ts'

t.test('all waiting senders go on together', async (t) => {
  const gate = new SendGate()
  const first = gate.wait()
  t.equal(gate.wait(), first, 'a caller that ignores the promise costs nothing')
  gate.open(true)
  t.equal(await first, true)
  const second = gate.wait()
  t.not(second, first, 'who comes later waits for the next time')
  gate.open(false)
  t.equal(await second, false)
  t.equal(await first, true)
})

t.test('opening an empty gate leaves nothing behind', async (t) => {
  const gate = new SendGate()
  gate.open(true)
  const waiting = gate.wait()
  gate.open(false)
  t.equal(await waiting, false)
})

t.test('a sender that need not wait gets a resolved promise, and now and then one of the next turn', async (t) => {
  const { sendsPerTurn } = defaults.fixed
  const gate = new SendGate()
  t.equal(await SendGate.refused, false)
  for (let round = 1; round <= 3; round++) {
    let hasTurned = false
    setImmediate(() => { hasTurned = true })
    for (let count = 1; count < sendsPerTurn; count++) {
      if (await gate.grant() !== true) t.fail('refused')
    }
    t.notOk(hasTurned, `${sendsPerTurn - 1} at once`)
    t.equal(await gate.grant(), true)
    t.ok(hasTurned, 'the next one lets the event loop turn')
  }
})
