import t from 'tap'
import { ProcessFigures } from '../../../plugin/app/process-figures.ts'
import { until } from '../../e2e/harness/until.ts'

t.test('collections count from the first reading until close', async (t) => {
  const closed = new ProcessFigures()
  const open = new ProcessFigures()
  t.equal(closed.read(true).collections.count, 0, 'what was before does not count')
  open.read(false)
  await until(() => closed.read(true).collections.count > 0, 'a collection')
  closed.close()
  const { count } = open.read(true).collections
  await until(() => open.read(true).collections.count > count, 'another one')
  // A closed one begins to listen again with this reading, and has heard nothing in between.
  const { collections } = closed.read(false)
  t.ok(collections.count < open.read(false).collections.count, `${collections.count}`)
  for (const figures of [closed, open]) figures.close()
})
