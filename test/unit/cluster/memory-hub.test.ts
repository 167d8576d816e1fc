import t from 'tap'
import { PendingCalls } from '../../../plugin/cluster/hub/pending-calls.ts'
import type { MemoryPassage } from '../../../plugin/cluster/memory/memory-engine.ts'
import { memory, type MemoryOptions } from '../../../plugin/entries/memory.ts'
import { local } from '../../../plugin/entries/local.ts'
import { VirtualClock } from './virtual-clock.ts'

async function start (options: MemoryOptions = {}) {
  const clock = new VirtualClock()
  const hub = memory({ clock, deadlineMs: 100, ...options })
  const told: string[] = []
  const open = async (name: string) => {
    const engine = hub.engineFor({ name: 'shop', logMs: 60_000 })
    const tell = (what: string) => { told.push(`${name} ${what}`) }
    await engine.open(name, { entry: (_at, bytes) => tell(bytes.toString()), message: (from, bytes) => tell(`${from}: ${bytes.toString()}`), up: () => tell('up'), down: () => tell('down'), forgot: () => tell('forgot') })
    await clock.pass(1)
    return engine
  }
  return { clock, hub, told, open }
}

const outcome = (promise: Promise<unknown>) => {
  const seen: { is: unknown } = { is: 'pending' }
  promise.then((value) => { seen.is = value }, (error: Error) => { seen.is = error.message })
  return seen
}

t.test('a call takes as long as the weather says, there and back, and calls keep their order', async (t) => {
  const passages: MemoryPassage[] = []
  const { clock, told, open } = await start({
    weather: (passage) => {
      passages.push(passage)
      return passage.what === 'append' ? passage.isAnswer ? 5 : passages.length === 1 ? 30 : 1 : 0
    }
  })
  const engine = await open('n')
  const [first, second] = [outcome(engine.append(Buffer.from('a'))), outcome(engine.append(Buffer.from('b')))]
  await clock.pass(29)
  t.same(told, ['n up'])
  await clock.pass(3)
  t.same(told, ['n up', 'n a'], 'an entry does not overtake the answer before it')
  t.same([first.is, second.is], ['pending', 'pending'])
  await clock.pass(10)
  t.same([first.is, second.is], [undefined, undefined])
  t.same(told, ['n up', 'n a', 'n b'])
  t.same(passages[0], { node: 'n', what: 'append', isAnswer: false })
})

t.test('a lost answer rejects at the deadline, and its write has happened; a lost call has not', async (t) => {
  for (const isAnswer of [true, false]) {
    const { clock, open } = await start({ weather: (passage) => passage.what === 'put' && passage.isAnswer === isAnswer ? 'lost' : 0 })
    const engine = await open('n')
    const put = outcome(engine.put('k', Buffer.from('v'), null, { ttlMs: 60_000 }))
    await clock.pass(99)
    t.equal(put.is, 'pending')
    await clock.pass(2)
    t.match(put.is, /gave no answer within 100 ms/)
    const get = outcome(engine.get('k'))
    await clock.pass(1)
    if (isAnswer) t.match(get.is, { value: Buffer.from('v') })
    else t.equal(get.is, null)
  }
})

t.test('a partition, a mend and a loss of memory, step by step', async (t) => {
  const { clock, hub, told, open } = await start()
  const one = await open('one')
  await open('two')
  hub.cut('two')
  one.append(Buffer.from('missed'))
  one.send('two', Buffer.from('lost'))
  await clock.pass(10)
  t.same(told, ['one up', 'two up', 'two down', 'one missed'])
  hub.mend('two')
  await clock.pass(10)
  t.same(told.slice(4), ['two missed', 'two up'])
  hub.empty()
  await clock.pass(10)
  t.same(told.slice(6).toSorted(), ['one down', 'one forgot', 'one up', 'two down', 'two forgot', 'two up'])
  t.same(hub.nodes, ['one', 'two'])
})

t.test('one seed gives one run', async (t) => {
  const run = async (seed: number) => {
    let state = seed
    const random = () => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) / 0x7fffffff
    const { clock, hub, told, open } = await start({ weather: () => random() < 0.1 ? 'lost' : Math.floor(random() * 20) })
    const engines = [await open('a'), await open('b'), await open('c')]
    for (let step = 0; step < 60; step++) {
      const engine = engines[Math.floor(random() * 3)]!
      engine.append(Buffer.from(String(step))).then(() => told.push(`appended ${step}`), (error: Error) => told.push(`${step} ${error.message}`))
      if (random() < 0.1) hub.cut('b')
      if (random() < 0.2) hub.mend('b')
      await clock.pass(Math.floor(random() * 30))
    }
    hub.mend('b')
    await clock.pass(1_000)
    return told
  }
  const runs = await Promise.all([run(1), run(1), run(2)])
  t.same(runs[0], runs[1])
  t.notSame(runs[0], runs[2])
  const entriesOf = (name: string) => runs[0]!.filter((line) => new RegExp(`^${name} \\d+$`).test(line)).map((line) => line.split(' ')[1])
  t.same(entriesOf('b'), entriesOf('a'), 'a node that was away missed nothing')
  t.ok(runs[0]!.some((line) => /gave no answer/.test(line)))
})

t.test('a node that left leaves no timer', async (t) => {
  const { clock, hub, open } = await start()
  const engine = await open('n')
  hub.freeze('n')
  engine.append(Buffer.from('a')).catch(() => {})
  await engine.close()
  await clock.pass(0)
  t.equal(clock.pending, 0)
})

t.test('calls that wait are bounded, and each has its own deadline', async (t) => {
  const clock = new VirtualClock()
  const calls = new PendingCalls({ deadlineMs: 100, maxCalls: 2, maxCallBytes: 10 }, clock)
  const first = calls.add(6)
  t.throws(() => calls.add(5), { code: 'FST_ERR_TETHER_ENGINE', message: /calls wait with 6 bytes, and another has 5 of at most 10/ })
  await clock.pass(50)
  const second = calls.add(4)
  t.throws(() => calls.add(0), { message: /2 calls wait/ })
  const [one, two] = [outcome(first.promise), outcome(second.promise)]
  await clock.pass(51)
  t.match([one.is, two.is], [/within 100 ms/, 'pending'])
  calls.resolve(second.id, 'answer')
  calls.resolve(first.id, 'late')
  await clock.pass(100)
  t.same([two.is, clock.pending], ['answer', 0])
})

t.test('bad options are refused by name', async (t) => {
  for (const [make, message] of [
    [() => memory({ deadlineMs: 0 }), /option "deadlineMs" of memory\(\) must be a whole number/],
    [() => memory({ logByte: 1 } as any), /memory\(\) has no option "logByte".*logBytes/],
    [() => memory({ clock: {} } as any), /option "clock" of memory\(\)/],
    [() => local({ directory: 5 } as any), /option "directory" of local\(\) must be the path of a directory/],
    [() => local({ directory: '\0' }), /option "directory" of local\(\) must be the path of a directory/],
    [() => local({ durable: 'yes' } as any), /option "durable" of local\(\)/]
  ] as const) t.throws(make, { code: 'FST_ERR_TETHER_OPTION', message })
})

t.test('the end of a connection is told before what the next one brings, whichever turn is first', async (t) => {
  class LateClock extends VirtualClock {
    override readonly defer = (run: () => void) => { this.setTimeout(run, 5) }
  }
  const clock = new LateClock()
  const hub = memory({ clock, weather: ({ what }) => what === 'entry' ? 3 : 0 })
  const engine = hub.engineFor({ name: 'shop', logMs: 60_000 })
  const told: string[] = []
  await engine.open('n', { entry: () => told.push('entry'), message () {}, up: () => told.push('up'), down: () => told.push('down'), forgot: () => told.push('forgot') })
  await clock.pass(20)
  engine.append(Buffer.from('a')).catch(() => {})
  await clock.pass(5)
  hub.empty()
  await clock.pass(20)
  t.strictSame(told, ['up', 'down', 'forgot', 'up'])
})
