import t from 'tap'
import { engineContract } from '../../plugin/entries/contract-tests.ts'
import { localElsewhere, localHere } from './harness/local-under-test.ts'

for (const { name, run } of engineContract(localHere)) t.test(name, () => run())

for (const underTest of [localElsewhere(true), localElsewhere(false)]) {
  for (const { name, run } of engineContract(underTest)) if (/restart|lost its memory/.test(name)) t.test(name, () => run())
}
