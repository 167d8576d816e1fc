import { deepStrictEqual, equal, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { RetainedValues, Shelf } from '../../../plugin/delivery/retained-values.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { effort } from '../../harness/effort.ts'

const frame = (key: string, text: string) => new Frame(`event: a\ndata: ${text}\n\n`, `a\n${key}`)

t.test('the newest value of each key, the least recently published first', async (t) => {
  const budget = new ByteBudget(1e6)
  const values = new RetainedValues(budget, 1e6)
  const shelf = new Shelf(() => {})
  const [one, two, three] = [frame('x', '1'), frame('y', '2'), frame('x', '3')] as const
  for (const each of [one, two, three]) values.put(shelf, each, 10)
  values.put(shelf, new Frame('event: a\ndata: 4\n\n'), 10)
  t.strictSame([...shelf.frames.values()], [two, three])
  t.equal(values.size, 2)
  t.equal(values.weight, two.weight + three.weight)
  t.equal(budget.weight, values.weight)
  t.equal(one.holders, 0)
  values.clear(shelf)
  t.equal(budget.weight, 0)
})

t.test('a value that is larger than all room takes its predecessor along', async (t) => {
  const values = new RetainedValues(new ByteBudget(1e6), 1_000)
  let emptied = 0
  const shelf = new Shelf(() => { emptied++ })
  values.put(shelf, frame('x', '1'), 10)
  values.put(shelf, frame('x', 'x'.repeat(2_000)), 10)
  t.equal(values.size, 0, 'the older value would be wrong')
  t.equal(emptied, 1)
})

const steps = fc.array(fc.record({
  kind: fc.constantFrom('put', 'put', 'put', 'put', 'produce', 'clear', 'shed', 'letGo'),
  shelf: fc.nat({ max: 3 }),
  key: fc.nat({ max: 5 }),
  length: fc.nat({ max: 400 })
}), { minLength: 10, maxLength: 60, size: 'max' })

t.test('against a model: values without a producer go first, the least recently published before others', async (t) => {
  let forgotten = 0
  fc.assert(fc.property(steps, fc.constantFrom(1, 3, 100), (steps, most) => {
    const budget = new ByteBudget(1e6)
    const values = new RetainedValues(budget, 2_000)
    const shelves = Array.from({ length: 4 }, () => new Shelf(() => {}))
    /** All values in the order of publication; within a group, the first goes first. */
    let model: Array<{ shelf: number, frame: Frame, isProduced: boolean }> = []
    const produced = [false, false, false, false]
    const weight = () => model.reduce((sum, { frame }) => sum + frame.weight, 0)
    const first = () => model.find(({ isProduced }) => !isProduced) ?? model[0]!
    const drop = (entry: typeof model[number]) => {
      forgotten++
      model = model.filter((other) => other !== entry)
    }
    for (const { kind, shelf: index, key, length } of steps) {
      const shelf = shelves[index]!
      if (kind === 'put') {
        const added = frame(`${index}.${key}`, 'x'.repeat(length))
        model = model.filter(({ frame }) => frame.key !== added.key)
        model.push({ shelf: index, frame: added, isProduced: produced[index]! })
        while (model.filter(({ shelf }) => shelf === index).length > most) drop(model.find(({ shelf }) => shelf === index)!)
        while (weight() > 2_000) drop(first())
        values.put(shelf, added, most)
      } else if (kind === 'produce') {
        produced[index] = !produced[index]
        const moved = model.filter(({ shelf }) => shelf === index).map((entry) => ({ ...entry, isProduced: produced[index]! }))
        model = [...model.filter(({ shelf }) => shelf !== index), ...moved]
        values.setProduced(shelf, produced[index]!)
      } else if (kind === 'clear') {
        model = model.filter(({ shelf }) => shelf !== index)
        values.clear(shelf)
      } else if (kind === 'shed') {
        while (weight() > 1_000) drop(first())
        values.shed(1_000)
      } else {
        const entry = model[key]
        if (entry === undefined) continue
        drop(entry)
        values.letGo(entry.frame)
      }
      equal(values.weight, weight())
      equal(values.heldWeight, weight())
      equal(budget.weight, weight())
      ok(values.weight <= 2_000)
      for (const [place, { frames }] of shelves.entries()) deepStrictEqual([...frames.values()], model.filter(({ shelf }) => shelf === place).map(({ frame }) => frame))
    }
  }), { numRuns: 80 * effort })
  t.ok(forgotten > 100)
})
