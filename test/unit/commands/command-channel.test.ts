import { deepStrictEqual } from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { Command, CommandChannel, type CommandOwner } from '../../../plugin/commands/command-channel.ts'
import { defaults } from '../../../schemas/defaults.ts'

class Owner implements CommandOwner {
  hasRoom = true
  readonly faults: Array<[command: string, error: unknown]> = []
  readonly pending: string[] = []

  onFault (command: Command, error: unknown): void {
    this.faults.push([command.name, error])
  }

  onUnsettled (command: Command): void {
    this.pending.push(command.name)
  }
}

function start (capacity = 8) {
  const owner = new Owner()
  return { owner, channel: new CommandChannel(capacity, owner) }
}

function deferred () {
  let resolve!: (value?: unknown) => void
  let reject!: (error: unknown) => void
  const promise = new Promise((_resolve, _reject) => { resolve = _resolve; reject = _reject })
  return { promise, resolve, reject }
}

/** A command, and how it ended. */
function tracked (name: string, call: () => unknown) {
  const ends: Array<{ error: unknown } | null> = []
  return { command: new Command(name, call, (fault) => ends.push(fault)), ends }
}

t.test('commands run in order, after the present code', async (t) => {
  const { channel, owner } = start()
  const order: number[] = []
  for (const index of [1, 2, 3]) channel.push(new Command('n', () => order.push(index)))
  t.same(order, [])
  t.equal(channel.length, 3)
  await Promise.resolve()
  t.same(order, [1, 2, 3])
  t.equal(channel.length, 0)
  t.equal(channel.current, null)
  t.same(owner.pending, [], 'what is done at once is never pending')
})

t.test('each runs in the async context of who queued it', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const contexts: string[] = []
  const note = (name: string) => new Command(name, () => contexts.push(`${name} in ${storage.getStore()}`))
  const push = (channel: CommandChannel, command: Command) => storage.run(command.name, () => channel.push(command))

  const channels = ['a', 'b', 'c'].map((name) => ({ name, ...start() }))
  for (const { name, channel } of channels) push(channel, note(name))
  await Promise.resolve()
  t.same(contexts.splice(0), ['a in a', 'b in b', 'c in c'], 'many channels at a time')

  const [{ channel, owner }] = channels as [typeof channels[0]]
  const gate = deferred()
  push(channel, new Command('first', async () => {
    await gate.promise
    contexts.push(`first in ${storage.getStore()}`)
  }))
  for (const name of ['second', 'third']) push(channel, note(name))
  storage.run('other', gate.resolve)
  await setImmediate()
  t.same(contexts.splice(0), ['first in first', 'second in second', 'third in third'], 'one behind the other')

  owner.hasRoom = false
  for (const name of ['first', 'second']) push(channel, note(name))
  await setImmediate()
  t.equal(channel.length, 2)
  owner.hasRoom = true
  storage.run('other', () => channel.resume())
  await setImmediate()
  t.same(contexts.splice(0), ['first in first', 'second in second'], 'those that waited for room')

  push(channel, new Command('busy', () => { for (let count = 0; count < 2 * defaults.fixed.commandsPerTurn; count++) push(channel, note(`${count}`)) }))
  await setImmediate()
  await setImmediate()
  await setImmediate()
  t.same(contexts, Array.from({ length: 2 * defaults.fixed.commandsPerTurn }, (_, index) => `${index} in ${index}`), 'in many turns')
})

t.test('one at a time: the next waits until the one before has settled', async (t) => {
  const { channel, owner } = start()
  const gate = deferred()
  const order: string[] = []
  const first = tracked('first', async () => {
    order.push('begin')
    await gate.promise
    order.push('end')
  })
  channel.push(first.command)
  channel.push(new Command('second', () => order.push('second')))
  await setImmediate()
  t.same(order, ['begin'])
  t.equal(channel.current, first.command)
  t.equal(channel.length, 1)
  t.same(owner.pending, ['first'])
  t.ok(first.command.startedAt > 0)
  gate.resolve()
  await setImmediate()
  t.same(order, ['begin', 'end', 'second'])
  t.same(first.ends, [null])
})

t.test('a command may queue others, which run behind it', async (t) => {
  const { channel } = start()
  const order: string[] = []
  channel.push(new Command('a', () => {
    channel.push(new Command('c', () => order.push('c')))
    order.push('a')
  }))
  channel.push(new Command('b', () => order.push('b')))
  await setImmediate()
  t.same(order, ['a', 'b', 'c'])
})

t.test('what throws or rejects is told, and the next runs', async (t) => {
  const { channel, owner } = start()
  const error = new Error('mine')
  const commands = [
    tracked('throws', () => { throw error }),
    tracked('rejects', () => Promise.reject(error)),
    tracked('throws null', () => { throw null }), // eslint-disable-line no-throw-literal
    tracked('is no promise, but has a then', () => ({ then: (_resolve: unknown, reject: (error: unknown) => void) => reject(error) })),
    tracked('has a then that throws', () => ({ then () { throw error } })),
    tracked('has a then that cannot be read', () => ({ get then () { throw error } }))
  ]
  for (const { command } of commands) channel.push(command)
  const last = tracked('last', () => 'fine')
  channel.push(last.command)
  await setImmediate()
  for (const { command, ends } of commands) t.strictSame(ends, [{ error: command.name === 'throws null' ? null : error }], command.name)
  t.strictSame(owner.faults, commands.map(({ command }) => [command.name, command.name === 'throws null' ? null : error]))
  t.strictSame(last.ends, [null])
})

t.test('takes none while the write side has no room', async (t) => {
  const { channel, owner } = start()
  const order: string[] = []
  channel.push(new Command('a', () => { order.push('a'); owner.hasRoom = false }))
  channel.push(new Command('b', () => order.push('b')))
  await setImmediate()
  t.same(order, ['a'])
  channel.resume()
  await setImmediate()
  t.same(order, ['a'], 'asking changes nothing')
  owner.hasRoom = true
  await setImmediate()
  t.same(order, ['a'], 'it does not look by itself')
  channel.resume()
  await setImmediate()
  t.same(order, ['a', 'b'])
})

t.test('a full channel says so, and still takes what is pushed', async (t) => {
  const { channel, owner } = start(2)
  owner.hasRoom = false
  t.equal(channel.hasCapacity(2), true)
  t.equal(channel.hasCapacity(3), false)
  channel.push(new Command('a', () => {}))
  t.equal(channel.hasCapacity(1), true)
  t.equal(channel.hasCapacity(2), false)
  channel.push(new Command('b', () => {}))
  t.equal(channel.hasCapacity(0), true, 'nothing more always fits')
  t.equal(channel.hasCapacity(1), false)
  channel.push(new Command('hook', () => {}))
  t.equal(channel.length, 3)
  t.equal(channel.hasCapacity(0), false)
})

t.test('giving up', async (t) => {
  t.test('goes on to the next, and tells the fault once', async (t) => {
    const { channel, owner } = start()
    const gate = deferred()
    const stuck = tracked('stuck', () => gate.promise)
    const next = tracked('next', () => {})
    channel.push(stuck.command)
    channel.push(next.command)
    await setImmediate()
    channel.abandon('too long')
    t.strictSame(stuck.ends, [{ error: 'too long' }])
    await setImmediate()
    t.strictSame(next.ends, [null])
    gate.resolve()
    await setImmediate()
    t.strictSame(owner.faults, [['stuck', 'too long']])
    t.equal(stuck.ends.length, 1)
  })

  t.test('what it throws in the end is still told', async (t) => {
    const { channel, owner } = start()
    const gate = deferred()
    const stuck = tracked('stuck', () => gate.promise)
    const later = deferred()
    channel.push(stuck.command)
    channel.push(new Command('later', () => later.promise))
    await setImmediate()
    channel.abandon('too long')
    await setImmediate()
    gate.reject('late')
    await setImmediate()
    t.strictSame(owner.faults, [['stuck', 'too long'], ['stuck', 'late']])
    t.equal(stuck.ends.length, 1)
    t.equal(channel.current?.name, 'later', 'and does not end another')
    later.resolve()
  })

  t.test('when nothing runs, nothing happens', async (t) => {
    const { channel, owner } = start()
    channel.abandon('x')
    t.same(owner.faults, [])
  })
})

t.test('what waits can be taken out', async (t) => {
  const { channel } = start()
  const gate = deferred()
  const first = tracked('first', () => gate.promise)
  const second = tracked('second', () => t.fail('must not run'))
  channel.push(first.command)
  channel.push(second.command)
  await setImmediate()
  t.strictSame(channel.clear(), [second.command])
  t.equal(channel.length, 0)
  gate.resolve()
  await setImmediate()
  t.strictSame(first.ends, [null], 'what runs goes on')
  t.same(second.ends, [])
})

t.test('knows whether code runs within its present command', async (t) => {
  const { channel } = start()
  const other = start().channel
  const seen: Record<string, boolean> = {}
  const otherDone = deferred()
  const gate = deferred()
  channel.push(new Command('a', async () => {
    seen.atOnce = channel.isWithinCurrent()
    await null
    seen.afterMicrotask = channel.isWithinCurrent()
    await setImmediate()
    seen.afterTurn = channel.isWithinCurrent()
    await gate.promise
    seen.afterWakeFromOutside = channel.isWithinCurrent()
    seen.ofAnother = other.isWithinCurrent()
    other.push(new Command('b', () => {
      seen.inAnother = channel.isWithinCurrent()
      otherDone.resolve()
    }))
    await otherDone.promise
    seen.late = await new Promise((resolve) => { process.nextTick(() => resolve(channel.isWithinCurrent())) })
  }))
  await setImmediate()
  seen.outside = channel.isWithinCurrent()
  await setImmediate()
  gate.resolve()
  await otherDone.promise
  await setImmediate()
  t.equal(channel.current, null)
  t.same(seen, {
    atOnce: true,
    afterMicrotask: true,
    afterTurn: true,
    outside: false,
    afterWakeFromOutside: true,
    ofAnother: false,
    inAnother: false,
    late: true
  })
})

/** One that gives nothing back, and so needs no more than that it runs. */
function isSync (name: string, call: () => void): Command {
  const command = new Command(name, call)
  command.isSync = true
  return command
}

t.test('knows the same of a command that gives nothing back', async (t) => {
  const { channel, owner } = start()
  const other = start().channel
  const seen: Record<string, boolean> = {}
  const late = deferred()
  channel.push(isSync('a', () => {
    seen.atOnce = channel.isWithinCurrent()
    seen.ofAnother = other.isWithinCurrent()
    queueMicrotask(() => late.resolve(channel.isWithinCurrent()))
    throw new Error('of a')
  }))
  await setImmediate()
  t.same(owner.faults, [['a', new Error('of a')]])
  t.equal(channel.isWithinCurrent(), false, 'also after it has thrown')
  t.equal(await late.promise, false)
  t.same(seen, { atOnce: true, ofAnother: false })
})

t.test('a command that gives nothing back is not within the one that asked for it', async (t) => {
  const { channel } = start()
  const other = start().channel
  const seen: Record<string, boolean> = {}
  const leftOver = deferred()
  channel.push(new Command('a', async () => {
    other.push(isSync('b', () => {
      seen.ofAsker = channel.isWithinCurrent()
      seen.own = other.isWithinCurrent()
      setImmediate().then(() => leftOver.resolve(channel.isWithinCurrent()))
    }))
    seen.leftOver = await leftOver.promise as boolean
    seen.asker = channel.isWithinCurrent()
  }))
  await leftOver.promise
  await setImmediate()
  t.same(seen, { ofAsker: false, own: true, leftOver: false, asker: true })
})

t.test('code left over from a command is not within the next', async (t) => {
  const { channel } = start()
  const gate = deferred()
  const seen = deferred()
  const next = deferred()
  channel.push(new Command('a', () => {
    gate.promise.then(() => seen.resolve(channel.isWithinCurrent()))
  }))
  channel.push(new Command('b', () => next.promise))
  await setImmediate()
  t.equal(channel.current?.name, 'b')
  gate.resolve()
  t.equal(await seen.promise, false)
  next.resolve()
})

t.test('a session that keeps itself busy leaves the loop to others', async (t) => {
  const { channel } = start(Infinity)
  const other = start().channel
  let count = 0
  const again = () => {
    count++
    if (count < 1000) channel.push(new Command('again', again))
  }
  channel.push(new Command('again', again))
  const seen: Record<string, number> = {}
  other.push(new Command('other', () => { seen.otherSession = count }))
  await setImmediate()
  seen.eventLoop = count
  t.same(seen, { otherSession: defaults.fixed.commandsPerTurn, eventLoop: defaults.fixed.commandsPerTurn })
  while (channel.length > 0) await setImmediate()
  t.equal(count, 1000)
})

type Ending = 'return' | 'throw' | 'wait'
type Step = { readonly kind: 'push', readonly ending: Ending } | { readonly kind: 'resolve' | 'reject' | 'abandon' | 'late' | 'close' | 'open' | 'clear' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('push' as const), ending: fc.constantFrom<Ending>('return', 'throw', 'wait') }), weight: 6 },
  { arbitrary: fc.record({ kind: fc.constantFrom('resolve', 'reject', 'open', 'late') }), weight: 4 },
  { arbitrary: fc.record({ kind: fc.constantFrom('abandon', 'close', 'clear') }), weight: 1 }
)

/** What the channel is to do, told as a log. */
class Model {
  readonly log: string[] = []
  queue: Array<{ id: number, ending: Ending }> = []
  current: number | null = null
  hasRoom = true

  run (): void {
    while (this.current === null && this.hasRoom && this.queue.length > 0) {
      const { id, ending } = this.queue.shift()!
      this.log.push(`begin ${id}`)
      if (ending === 'wait') this.current = id
      else this.end(id, ending === 'throw' ? `thrown ${id}` : null)
    }
  }

  end (id: number, error: string | null): void {
    if (error !== null) this.log.push(`fault ${id} ${error}`)
    this.log.push(`end ${id} ${error}`)
    this.current = null
  }
}

t.test('does what its model does, whatever happens', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
    const log: string[] = []
    const owner = {
      hasRoom: true,
      onFault: (command: Command, error: unknown) => { log.push(`fault ${command.name} ${error}`) },
      onUnsettled: () => {}
    }
    const channel = new CommandChannel(8, owner)
    const model = new Model()
    const gates = new Map<number, ReturnType<typeof deferred>>()
    const abandoned: number[] = []
    let lastId = 0
    for (const step of steps) {
      const running = model.current
      if (step.kind === 'push') {
        const id = ++lastId
        channel.push(new Command(`${id}`, () => {
          log.push(`begin ${id}`)
          if (step.ending === 'throw') throw `thrown ${id}` // eslint-disable-line no-throw-literal
          if (step.ending === 'return') return
          gates.set(id, deferred())
          return gates.get(id)!.promise
        }, (fault) => log.push(`end ${id} ${fault === null ? null : fault.error}`)))
        model.queue.push({ id, ending: step.ending })
      } else if (step.kind === 'open' || step.kind === 'close') {
        owner.hasRoom = model.hasRoom = step.kind === 'open'
        channel.resume()
      } else if (step.kind === 'clear') {
        deepStrictEqual(channel.clear().map(({ name }) => name), model.queue.map(({ id }) => `${id}`))
        model.queue = []
      } else if (step.kind === 'late') {
        const id = abandoned.shift()
        if (id !== undefined) {
          gates.get(id)!.reject('late')
          model.log.push(`fault ${id} late`)
        }
      } else if (running !== null) {
        if (step.kind === 'abandon') {
          channel.abandon('given up')
          abandoned.push(running)
          model.end(running, 'given up')
        } else if (step.kind === 'resolve') {
          gates.get(running)!.resolve()
          model.end(running, null)
        } else {
          gates.get(running)!.reject(`rejected ${running}`)
          model.end(running, `rejected ${running}`)
        }
      }
      model.run()
      await setImmediate()
      deepStrictEqual(log, model.log)
      deepStrictEqual([channel.length, channel.current?.name], [model.queue.length, model.current === null ? undefined : `${model.current}`])
      for (const count of [1, 4, 8]) deepStrictEqual(channel.hasCapacity(count), model.queue.length + count <= 8)
    }
  }), { numRuns: 150 })
  t.pass('for any steps')
})
