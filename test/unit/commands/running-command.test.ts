import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { RunningCommand } from '../../../plugin/commands/running-command.ts'
import { until } from '../../e2e/harness/until.ts'

t.test('a command is found in its own code, also after an await, and nowhere else', async (t) => {
  const running = new RunningCommand()
  const [command, other] = [{}, {}]
  t.equal(await running.run(command, async () => {
    t.ok(running.is(command))
    await setTimeout(1)
    t.notOk(running.is(other))
    return running.is(command)
  }), true)
  t.notOk(running.is(command))
  t.equal(running.runSync(other, () => running.is(other)), true)
  t.notOk(running.is(other))
  t.throws(() => running.runSync(other, () => { throw new Error('mine') }), { message: 'mine' })
  t.notOk(running.is(other), 'also after it threw')
  t.ok(running.run(command, () => running.runSync(other, () => running.is(other) && !running.is(command))), 'a sync one within another')
})

t.test('the storage is given up once no command has used it for a while, and none awaits', async (t) => {
  const running = new RunningCommand()
  const command = {}
  t.ok(running.isAtRest)
  t.equal(running.runSync(command, () => running.is(command)), true)
  t.ok(running.isAtRest, 'a sync command does not need it')
  running.run(command, () => {})
  t.notOk(running.isAtRest)
  await until(() => running.isAtRest, 'it is given up')
  running.awaitBegun()
  t.equal(await running.run(command, async () => {
    await setTimeout(500)
    return running.is(command)
  }), true, 'found after an await that is longer than the rest')
  t.notOk(running.isAtRest, 'not given up meanwhile')
  running.awaitEnded()
  await until(() => running.isAtRest, 'given up behind it')
  t.equal(running.run(command, () => running.is(command)), true, 'and used again')
})
