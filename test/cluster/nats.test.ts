import t from 'tap'
import { engineContract } from '../../plugin/entries/contract-tests.ts'
import { effort } from '../harness/effort.ts'
import { natsUnderTest, newer, older } from './harness/nats-under-test.ts'

// Most cases wait for the time. One counts what the process holds, and runs alone.
t.jobs = 4
const countsResources = /neither connection nor timer/
const cases = engineContract(natsUnderTest('nats', newer))
const olderCases = engineContract(natsUnderTest('the older client', older)).filter(({ name }) => effort > 1 || /comes up|created once|cut off goes down|restart|lost its memory/.test(name))
for (const { name, run } of [...cases, ...olderCases]) t.test(name, { buffered: !countsResources.test(name) }, () => run())
