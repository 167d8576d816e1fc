import fc from 'fast-check'
import t from 'tap'
import { DueIndex } from '../../../plugin/cluster/hub/due-index.ts'
import { HubStore, type Change, type StoreLimits } from '../../../plugin/cluster/hub/hub-store.ts'
import { effort } from '../../harness/effort.ts'

const roomy: StoreLimits = { logEntries: 1_000, logBytes: 1_000_000, logMs: 60_000, recordBytes: 1_000_000 }

function make (limits: Partial<StoreLimits> = {}) {
  const time = { now: 1_000 }
  const changes: Change[] = []
  const store = new HubStore({ ...roomy, ...limits }, { now: () => time.now, epoch: 1, record: (change) => { changes.push(change) } })
  const texts = () => store.range(null, 10_000).map(({ bytes }) => bytes.toString())
  return { store, time, changes, texts }
}

t.test('the log is bounded by count, by bytes and by age', async (t) => {
  const counted = make({ logEntries: 3 })
  for (const text of ['a', 'b', 'c', 'd', 'e']) counted.store.append(Buffer.from(text))
  t.same(counted.texts(), ['c', 'd', 'e'])
  t.equal(counted.store.tail - counted.store.head, 3)

  const weighed = make({ logBytes: 1_000 })
  for (let index = 0; index < 9; index++) weighed.store.append(Buffer.from(String(index)))
  t.same(weighed.texts(), ['5', '6', '7', '8'], 'each entry counts 200 bytes more')
  weighed.store.append(Buffer.alloc(5_000))
  t.equal(weighed.texts().length, 1, 'a larger one still passes')

  const aged = make({ logMs: 100 })
  aged.store.append(Buffer.from('old'))
  aged.time.now += 60
  aged.store.append(Buffer.from('young'))
  aged.time.now += 60
  t.same(aged.texts(), ['young'])
  aged.time.now += 60
  t.same(aged.texts(), [])
})

t.test('places in the log stay right while it drops thousands', async (t) => {
  const { store } = make({ logEntries: 100 })
  const offsets = Array.from({ length: 5_000 }, (_, index) => store.append(Buffer.from(String(index))))
  t.equal(store.head, 4_900)
  t.equal(store.entry(4_950).bytes.toString(), '4950')
  t.equal(store.numberAfter(offsets[4_949]!), 4_950)
  t.equal(store.numberAfter(offsets[10]!), 4_900, 'behind one that is dropped')
  t.same(offsets, offsets.toSorted())
})

t.test('records beyond the bound are refused, and what ends makes room', async (t) => {
  const { store, time } = make({ recordBytes: 1_000 })
  const full = { code: 'FST_ERR_TETHER_ENGINE_FULL' }
  const revision = store.put('a', Buffer.alloc(500), null, 100, null)!
  t.throws(() => store.put('b', Buffer.alloc(500), null, 100, null), full)
  t.throws(() => store.journal('a', revision, Buffer.alloc(500)), full)
  t.throws(() => store.renew('n', 100, Buffer.alloc(500)), full)
  t.equal(store.get('b'), null)
  t.type(store.put('a', Buffer.alloc(600), revision, 100, null), 'string', 'one in place of another counts once')
  time.now += 100
  store.sweep(10)
  t.type(store.put('b', Buffer.alloc(500), null, 100, null), 'string')
})

t.test('records that nobody asks for go, by and by', async (t) => {
  const { store, time } = make({ recordBytes: 50_000 })
  for (let index = 0; index < 2_000; index++) {
    store.put(`k${index}`, Buffer.alloc(100), null, 10, null)
    time.now++
  }
  t.pass('the bound was never reached')
})

t.test('a store that takes the changes of another is like it', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), text: fc.string() }),
    fc.record({ kind: fc.constant('put' as const), key: fc.constantFrom('a', 'b', 'c'), ttl: fc.integer({ min: 1, max: 30 }), due: fc.option(fc.integer({ min: 1, max: 9 })) }),
    fc.record({ kind: fc.constant('journal' as const), key: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ kind: fc.constant('renew' as const), node: fc.constantFrom('m', 'n'), ms: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ kind: fc.constant('leave' as const), node: fc.constantFrom('m', 'n') }),
    fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 10 }) })
  )
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const { store, time, changes } = make({ logMs: 40 })
    for (const step of steps) {
      if (step.kind === 'append') store.append(Buffer.from(step.text))
      else if (step.kind === 'put') store.put(step.key, Buffer.from('v'), store.get(step.key)?.revision ?? null, step.ttl, step.due)
      else if (step.kind === 'journal') store.journal(step.key, store.get(step.key)?.revision ?? '', Buffer.from('j'))
      else if (step.kind === 'renew') store.renew(step.node, step.ms, Buffer.from('card'))
      else if (step.kind === 'leave') store.leave(step.node)
      else time.now += step.ms
    }
    const view = (one: HubStore) => ({
      log: one.range(null, 1_000),
      records: ['a', 'b', 'c'].map((key) => [one.get(key), one.journalOf(key)]),
      due: one.due(9, 10),
      nodes: one.nodes().sort()
    })
    for (const source of [changes, [...store.changes()]]) {
      const other = new HubStore({ ...roomy, logMs: 40 }, { now: () => time.now, epoch: 2 })
      for (const change of source) other.apply(change)
      t.strictSame(view(other), view(store))
    }
  }), { numRuns: 100 * effort })
})

t.test('keys come due by their times, and leave by them', async () => {
  fc.assert(fc.property(fc.uniqueArray(fc.tuple(fc.nat(20), fc.string({ minLength: 1, maxLength: 3 })), { selector: ([, key]) => key, maxLength: 30 }), fc.nat(20), fc.nat(20), fc.func(fc.boolean()), (pairs, now, limit, isAlive) => {
    const index = new DueIndex()
    for (const [at, key] of pairs) index.add(at, key)
    const alive = pairs.filter(([at, key]) => at > now || isAlive(key))
    const ask = (key: string) => {
      if (isAlive(key)) return true
      index.delete(pairs.find((pair) => pair[1] === key)![0], key)
      return false
    }
    const wanted = alive.filter(([at]) => at <= now).sort(([a, x], [b, y]) => a - b || (x < y ? -1 : 1)).map(([, key]) => key)
    t.strictSame(index.until(now, limit, ask), wanted.slice(0, limit))
    t.strictSame(index.until(now, 1_000, ask), wanted)
  }), { numRuns: 200 * effort })
})
