import t, { type Test } from 'tap'
import { store } from '../../client/store.ts'
import { turns, until } from '../e2e/harness/until.ts'
import { connectLive } from './harness.ts'

/** Frames that a test draws. */
function drawFrames (t: Test) {
  const page = globalThis as { requestAnimationFrame?: unknown, cancelAnimationFrame?: unknown, document?: unknown }
  const due = new Map<number, () => void>()
  let count = 0
  page.requestAnimationFrame = (run: () => void) => {
    due.set(++count, run)
    return count
  }
  page.cancelAnimationFrame = (request: number) => due.delete(request)
  const document = { hidden: false }
  page.document = document
  t.teardown(() => {
    delete page.requestAnimationFrame
    delete page.cancelAnimationFrame
    delete page.document
  })
  return {
    document,
    due,
    draw: () => {
      const runs = [...due.values()]
      due.clear()
      for (const run of runs) run()
    }
  }
}

async function start (t: Test) {
  const rig = await connectLive(t)
  await rig.became('open')
  return { ...rig, live: await rig.session() }
}

t.test('keeps the newest value, and notifies once a frame', async (t) => {
  const { draw, due } = drawFrames(t)
  const { client, live } = await start(t)
  const note = store(client, 'note')
  t.equal(note.get(), undefined)
  const told: unknown[] = []
  const stop = note.subscribe((value) => told.push(value))
  let newest = ''
  client.on('note', ({ text }) => { newest = text })
  for (let count = 1; count <= 1_000; count++) live.send('note', { text: String(count) })
  live.send('note', { text: 'last' })
  await until(() => newest === 'last', 'all')
  t.equal(due.size, 1, 'one frame for all')
  t.equal(note.get(), undefined, 'no drawing sees a value that others have not')
  draw()
  t.strictSame(told, [{ text: 'last' }])
  t.equal(note.get(), told[0])
  draw()
  t.equal(told.length, 1)
  stop()
  stop()
  live.send('note', { text: 'unheard' })
  await until(() => newest === 'unheard', 'one more')
  t.strictSame([due.size, note.get()], [0, { text: 'unheard' }], 'without a subscriber the value is at once the newest')
  t.equal(told.length, 1)
})

t.test('all stores change in one frame before the first subscriber hears of it', async (t) => {
  const { draw, due } = drawFrames(t)
  const { client, live } = await start(t)
  const note = store(client, 'note')
  const row = store(client, 'row')
  const told: unknown[] = []
  note.subscribe(() => told.push([note.get(), row.get()]))
  row.subscribe(() => told.push([note.get(), row.get()]))
  let rows = 0
  client.on('row', () => rows++)
  live.send('note', { text: 'a' })
  live.send('row', 'b')
  await until(() => rows === 1, 'both')
  t.equal(due.size, 1)
  draw()
  t.strictSame(told, [[{ text: 'a' }, 'b'], [{ text: 'a' }, 'b']])
})

t.test('a value for each key, in a new map at each change', async (t) => {
  const { draw } = drawFrames(t)
  const { client, live } = await start(t)
  const samples = store(client, 'sample', { key: ({ series }) => series })
  const maps: Array<ReadonlyMap<string, object>> = [samples.get()]
  t.equal(samples.get().size, 0)
  samples.subscribe((map) => maps.push(map))
  let seen = 0
  client.on('sample', () => seen++)
  for (const [series, value] of [['a', 1], ['b', 2], ['a', 3]] as const) {
    live.send('sample', { series, value })
    await until(() => seen >= (value === 3 ? 3 : value), 'the sample')
  }
  draw()
  live.send('sample', { series: 'c', value: 4 })
  await until(() => seen === 4, 'one more')
  draw()
  t.strictSame(maps.map((map) => [...map]), [
    [],
    [['a', { series: 'a', value: 3 }], ['b', { series: 'b', value: 2 }]],
    [['a', { series: 'a', value: 3 }], ['b', { series: 'b', value: 2 }], ['c', { series: 'c', value: 4 }]]
  ])
})

t.test('reduce runs once for each update, in order; by key, undefined removes', async (t) => {
  const { client, live } = await start(t)
  const lines = store(client, 'row', { initial: [] as readonly string[], reduce: (all, row) => [...all, row].slice(-3) })
  const sums = store(client, 'sample', {
    key: ({ series }) => series,
    reduce: (sum: number | undefined, { value }) => value < 0 ? undefined : (sum ?? 0) + value
  })
  t.strictSame(lines.get(), [])
  for (let row = 1; row <= 5; row++) live.send('row', String(row))
  let seen = 0
  client.on('sample', () => seen++)
  for (const value of [1, 2, -1, 5]) {
    live.send('sample', { series: 's', value })
    live.send('note', { text: 'apart, since samples conflate' })
  }
  live.send('sample', { series: 'gone', value: -1 })
  await until(() => seen === 5, 'all')
  t.strictSame(lines.get(), ['3', '4', '5'])
  t.strictSame([...sums.get()], [['s', 5]])
})

t.test('works without frames, and in a tab that is hidden, even in the middle of a frame', async (t) => {
  const { client, live } = await start(t)
  const note = store(client, 'note')
  const told: string[] = []
  note.subscribe((value) => told.push(value!.text))
  live.send('note', { text: 'no frames' })
  await until(() => told.length === 1, 'the timer')
  const { document, due } = drawFrames(t)
  document.hidden = true
  live.send('note', { text: 'hidden' })
  await until(() => told.length === 2, 'the timer')
  t.equal(due.size, 0, 'a hidden tab has no frames')
  document.hidden = false
  live.send('note', { text: 'hidden in between' })
  await until(() => due.size === 1, 'the frame')
  document.hidden = true
  await until(() => told.length === 3, 'the timer behind the frame', 5_000)
  t.equal(due.size, 0, 'the frame is no longer wanted')
  t.strictSame(told, ['no frames', 'hidden', 'hidden in between'])
})

t.test('every: at once, or after so many milliseconds', async (t) => {
  const { draw } = drawFrames(t)
  const { client, live } = await start(t)
  const atOnce: unknown[] = []
  const rarely: unknown[] = []
  store(client, 'row', { every: 0 }).subscribe((row) => atOnce.push(row))
  store(client, 'row', { every: 30 }).subscribe((row) => rarely.push(row))
  const rows = ['a', 'b', 'c']
  for (const row of rows) live.send('row', row)
  await until(() => atOnce.length === 3, 'all three')
  t.strictSame(atOnce, rows)
  draw()
  await until(() => rarely.length === 1, 'the timer')
  t.strictSame(rarely, ['c'])
  for (const every of [-1, NaN, 'never', null]) t.throws(() => store(client, 'row', { every: every as never }), RangeError)
})

t.test('reset begins anew with a snapshot, and only then', async (t) => {
  const { client, became, session, network } = await connectLive(t, { live: { replayFrames: 0 } })
  await became('open')
  const first = await session()
  const kept = store(client, 'row', { initial: '', reduce: (all, row) => all + row })
  const reset = store(client, 'row', { initial: '', reduce: (all, row) => all + row, reset: true })
  const byKey = store(client, 'sample', { key: ({ series }) => series, reset: true })
  first.send('row', 'a')
  first.send('sample', { series: 's', value: 1 })
  await until(() => byKey.get().size === 1, 'both')
  network.cut()
  t.equal((await became('open', 2)).verdict, 'resumed')
  t.strictSame([kept.get(), reset.get(), byKey.get().size], ['a', 'a', 1])
  await first.close('moved', { reconnect: true })
  t.equal((await became('open', 3)).verdict, 'expired')
  t.strictSame([kept.get(), reset.get(), byKey.get().size], ['a', '', 0])
  ;(await session()).send('row', 'b')
  await until(() => reset.get() === 'b', 'the next')
  t.equal(kept.get(), 'ab')
})

t.test('what a subscriber throws stops no other, and what key throws goes to onError', async (t) => {
  const { draw } = drawFrames(t)
  const errors: unknown[] = []
  const { client, became, session } = await connectLive(t, {}, { onError: (error) => errors.push(error) })
  await became('open')
  const live = await session()
  const uncaught: unknown[] = []
  const listener = (error: unknown) => uncaught.push(error)
  process.on('uncaughtException', listener)
  t.teardown(() => process.off('uncaughtException', listener))
  const note = store(client, 'note')
  const told: unknown[] = []
  note.subscribe(() => { throw new Error('of a subscriber') })
  note.subscribe((value) => told.push(value))
  store(client, 'note', { key: () => { throw new Error('of a key') } })
  live.send('note', { text: 'a' })
  await until(() => errors.length === 1, 'the error')
  draw()
  await until(() => uncaught.length === 1, 'the uncaught error')
  t.match([errors, uncaught, told], [[{ message: 'of a key' }], [{ message: 'of a subscriber' }], [{ text: 'a' }]])
})

t.test('close() ends the listening', async (t) => {
  const { client, live } = await start(t)
  const row = store(client, 'row')
  let rows = 0
  client.on('row', () => rows++)
  live.send('row', 'a')
  await until(() => rows === 1, 'the first')
  row.close()
  live.send('row', 'b')
  await until(() => rows === 2, 'the second')
  await turns()
  t.equal(row.get(), 'a')
})
