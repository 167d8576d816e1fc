import t from 'tap'
import { parseBytes, parseDuration } from '../../tune/quantity.ts'

t.test('reads what people write', async (t) => {
  t.equal(parseDuration('target-p99', '50ms'), 50)
  t.equal(parseDuration('target-p99', '1.5s'), 1500)
  t.equal(parseDuration('target-p99', '2 min'), 120_000)
  t.equal(parseBytes('budget', '256MB'), 256_000_000)
  t.equal(parseBytes('budget', '256MiB'), 268_435_456)
  t.equal(parseBytes('budget', '1.5 GB'), 1_500_000_000)
})

t.test('refuses the rest, and names the option', async (t) => {
  for (const text of ['', '50', 'ms', '0ms', '-5ms', '5 m', '1e3ms', '5mss', 'constructor', '1constructor']) {
    t.throws(() => parseDuration('target-p99', text), /^--target-p99 must be a duration/, JSON.stringify(text))
  }
  for (const text of ['256', '0MB', '12XB', 'MB', '1 2MB']) t.throws(() => parseBytes('budget', text), /^--budget must be a size/, JSON.stringify(text))
})
