import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { awaitBegun, awaitEnded, isRunning, runCommand, runSyncCommand } from '../../../plugin/commands/running-command.ts'
import { until } from '../../e2e/harness/until.ts'

let given = 0
const { disable } = AsyncLocalStorage.prototype
AsyncLocalStorage.prototype.disable = function () {
  given++
  disable.call(this)
}

t.test('a command is found in its own code, also after an await, and nowhere else', async (t) => {
  const [command, other] = [{}, {}]
  t.equal(await runCommand(command, async () => {
    t.ok(isRunning(command))
    await setTimeout(1)
    t.notOk(isRunning(other))
    return isRunning(command)
  }), true)
  t.notOk(isRunning(command))
  t.equal(runSyncCommand(other, () => isRunning(other)), true)
  t.notOk(isRunning(other))
  t.throws(() => runSyncCommand(other, () => { throw new Error('mine') }), { message: 'mine' })
  t.notOk(isRunning(other), 'also after it threw')
  t.ok(runCommand(command, () => runSyncCommand(other, () => isRunning(other) && !isRunning(command))), 'a sync one within another')
})

t.test('the storage is given up once no command has used it for a while, and none awaits', async (t) => {
  await until(() => given === 1, 'it is given up')
  const command = {}
  const later = runCommand(command, () => new AsyncResource('later'))
  await until(() => given === 2, 'again after the next use')
  // What it did later on its own is not the command any more.
  t.notOk(isRunning(command))
  awaitBegun()
  const going = runCommand(command, async () => {
    await setTimeout(300)
    return isRunning(command)
  })
  t.equal(await going, true, 'found after a longer await')
  t.equal(given, 2, 'not given up meanwhile')
  awaitEnded()
  await until(() => given === 3, 'given up behind it')
  t.ok(later)
})
