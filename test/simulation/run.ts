// npm run simulate -- [--seeds n] [--seed n]
import { parseArgs } from 'node:util'
import { describe, runSeeds } from './harness/run-seeds.ts'

const { values } = parseArgs({ options: { seeds: { type: 'string' }, seed: { type: 'string' } } })

function wholeOf (name: 'seeds' | 'seed', given: string | undefined, otherwise: number): number {
  const number = given === undefined ? otherwise : Number(given)
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`--${name} takes a whole number from 1 on, got ${given}`)
  return number
}

const first = wholeOf('seed', values.seed, 1)
const count = wholeOf('seeds', values.seeds, values.seed === undefined ? 1_000 : 1)
const startedAt = process.hrtime.bigint()
const { totals, failure } = await runSeeds(first, count, ({ seed }) => { if ((seed - first + 1) % 500 === 0) console.log(`${seed - first + 1} runs`) })
console.log(JSON.stringify(totals), `${(Number(process.hrtime.bigint() - startedAt) / 1e9).toFixed(1)} s`)
if (failure !== null) {
  console.log(describe(failure))
  process.exitCode = 1
}
