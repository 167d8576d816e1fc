import t from 'tap'
import { backOff } from '../../client/back-off.ts'
import { connect, defaults } from '../../client/index.ts'
import { resolveNumbers } from '../../client/options.ts'
import { storedDefaults } from '../../client/stored-defaults.ts'
import { webSocketLink } from '../../client/websocket-link.ts'
import { connectLive } from './harness.ts'

// By names that the compiler does not follow: they are typed for pages.
const { connectShared } = await import('../../client/shared.ts' as string) as { connectShared: typeof connect }
const { connectStored } = await import('../../client/indexed-db.ts' as string) as { connectStored: (url: string, options: { maxAgeMs?: number }) => Promise<unknown> }

const resolve = (name: string, value: unknown) => (resolveNumbers({ [name]: value }, { ...defaults, ...storedDefaults }) as Record<string, unknown>)[name]
const names = [...Object.keys(defaults), ...Object.keys(storedDefaults)]
const bad: unknown[] = [NaN, -1, -0.5, -Infinity, '', '5', true, [], {}, 5n]

t.test('each number becomes what a timer or a counter can do, or is refused by name', async (t) => {
  for (const name of names) {
    for (const [given, expected] of [[0.2, 1], [1, 1], [1.5, 2], [1e9, 1e9], [2 ** 31, 2e9], [1e300, 2e9], [Infinity, 2e9]] as const) {
      t.equal(resolve(name, given), expected, `${name}: ${given}`)
    }
    for (const value of bad) t.throws(() => resolve(name, value), { name: 'RangeError', message: name }, `${name}: ${String(value)}`)
    for (const value of [undefined, null]) t.equal(resolve(name, value), { ...defaults, ...storedDefaults }[name as 'retryMs'])
    if (name === 'requestTimeoutMs' || name === 'maxUpdateLength') t.throws(() => resolve(name, 0), RangeError)
    else t.equal(resolve(name, 0), 0)
  }
})

t.test('it is refused at once, whatever connects', async (t) => {
  for (const value of bad) {
    for (const name of Object.keys(defaults)) {
      t.throws(() => connect('/live', { [name]: value } as {}), { name: 'RangeError', message: name })
      t.throws(() => connectShared('/live', { [name]: value } as {}), { name: 'RangeError', message: name })
      await t.rejects(connectStored('/live', { [name]: value } as {}), { name: 'RangeError', message: name })
    }
    await t.rejects(connectStored('/live', { maxAgeMs: value as number }), { name: 'RangeError', message: 'maxAgeMs' })
    t.throws(() => webSocketLink({ openTimeoutMs: value as number }), { name: 'RangeError', message: 'openTimeoutMs' })
  }
  t.throws(() => webSocketLink({ openTimeoutMs: 0 }), RangeError)
  for (const value of [undefined, null]) t.doesNotThrow(() => webSocketLink({ openTimeoutMs: value as never }))
})

t.test('the largest and the smallest work', async (t) => {
  for (const options of [
    Object.fromEntries(Object.keys(defaults).map((name) => [name, Infinity])),
    Object.fromEntries(Object.keys(defaults).map((name) => [name, 2 ** 31])),
    { retryMs: 0.1, retryMaxMs: 0.5, requestTimeoutMs: 5_000.25, hiddenMs: 0.5, maxQueued: 1.5, maxUpdateLength: 99_999.5 }
  ]) {
    const { client, became, states } = await connectLive(t, {}, options)
    await became('open')
    await client.emit('ping')
    t.strictSame(states.map(([state]) => state), ['connecting', 'open'])
    client.close()
  }
})

t.test('the wait before a retry is a number within its bounds, however many there were', async (t) => {
  for (const [retryMs, retryMaxMs] of [[0, 0], [0, 10_000], [1, 10_000], [500, 10_000], [500, 0], [2e9, 2e9]] as const) {
    for (const askedMs of [undefined, NaN, 0, 1_000, 1e12, Infinity]) {
      const asked = askedMs || 0
      for (let attempt = 0; attempt < 5_000; attempt++) {
        const ms = backOff(attempt, retryMs, retryMaxMs, askedMs)
        if (!(ms >= Math.min(asked, 2e9) && ms <= Math.min(2e9, asked + retryMaxMs))) return t.fail(`${ms} after ${attempt} tries with ${retryMs}, ${retryMaxMs}, ${askedMs}`)
      }
    }
  }
  const longest = (attempt: number) => Math.max(...Array.from({ length: 200 }, () => backOff(attempt, 100, 1_000)))
  t.ok(longest(0) > 70 && longest(0) <= 100)
  t.ok(longest(4) > 400 && longest(4) <= 507)
  t.ok(longest(50) > 700 && longest(50_000) > 700)
})
