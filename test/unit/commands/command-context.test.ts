import { AsyncLocalStorage } from 'node:async_hooks'
import t from 'tap'
import { presentContext, shareContext } from '../../../plugin/commands/command-context.ts'

const storage = new AsyncLocalStorage<string>()
const found = () => storage.getStore()

t.test('is that of the code that asks', async (t) => {
  const one = storage.run('one', presentContext)
  const two = storage.run('two', presentContext)
  const none = presentContext()
  t.same([one, two, none].map((context) => context.runInAsyncScope(found)), ['one', 'two', undefined])
})

t.test('is made once for what is queued together', async (t) => {
  const contexts = new Set()
  storage.run('one', () => shareContext(() => {
    for (let count = 0; count < 3; count++) contexts.add(presentContext())
  }))
  t.equal(contexts.size, 1)
  t.throws(() => shareContext(() => { throw new Error('in between') }), { message: 'in between' })
  const after = storage.run('two', () => [presentContext(), presentContext()])
  t.same(after.map((context) => context.runInAsyncScope(found)), ['two', 'two'])
  t.not(after[0], after[1])
})
