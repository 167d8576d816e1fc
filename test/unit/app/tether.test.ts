import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { TetherCore } from '../../../plugin/app/tether.ts'
import { defineContract, text } from '../../../schemas/contract.ts'
import { defaults } from '../../../schemas/defaults.ts'

/** Whether two sends in a row give the same promise, which the second of a turn does not. */
async function sharesPromise (t: Test, core: TetherCore): Promise<boolean> {
  const app = Fastify()
  t.teardown(() => app.close())
  const live = core.on(app).stateful('/live', { contract: defineContract({ updates: { row: text() } }) })
  app.get('/page', async (request) => live.prepare(request))
  const { body } = await app.inject('/page')
  const session = live.get(body)!
  return session.send('row', 'a') === session.send('row', 'b')
}

t.test('the fixed limits are those of the table, unless others are given', async (t) => {
  t.equal(await sharesPromise(t, new TetherCore({})), true)
  t.equal(await sharesPromise(t, new TetherCore({}, { ...defaults.fixed, sendsPerTurn: 2 })), false)
})
