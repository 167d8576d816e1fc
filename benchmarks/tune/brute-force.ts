import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readOptions, type TuneOptions } from '../../tune/input/options.ts'
import { Generator } from '../../tune/measure/generator.ts'
import { TuningRoute } from '../../tune/measure/server-figures.ts'
import { holds } from '../../tune/measure/step.ts'
import { Stepper } from '../../tune/measure/stepper.ts'
import { tune } from '../../tune/tune.ts'
import { readCommandLine, readPositive, runBenchmark } from '../harness/report/command-line.ts'
import { formatTable } from '../harness/report/table.ts'

// Holds the word of `fastify-tether tune` against brute force: many loads in small steps, each for long and several times.

const servers = [
  { name: '5 ms of CPU', settings: { cpuMs: 5 }, rate: 1 },
  { name: '50 ms of waiting, pool of 8', settings: { waitMs: 50, pool: 8 }, rate: 1 },
  { name: '2 ms of CPU, 20 ms of waiting, pool of 4', settings: { cpuMs: 2, waitMs: 20, pool: 4 }, rate: 2 }
]
const events = [{ event: 'work', data: { n: 3 }, weight: 1 }]
/** Loads as shares of the command's word: from there down or up, until the objectives stop to hold. */
const from = 0.85
/** So many loads that fail, one above the other, are the end. */
const mostFailures = 2
const longestMs = 6 * 60_000
const goal = 0.05

await runBenchmark(async () => {
  const given = readCommandLine('bench:tune', {
    minutes: { value: 'N', help: 'time of the command for each server (5)' },
    seconds: { value: 'N', help: 'length of a window of brute force (5)' },
    step: { value: 'SHARE', help: 'distance of two loads of brute force (0.02)' },
    only: { value: 'TEXT', help: 'only servers with this text in their names' },
    quick: { help: 'the command measures with --quick' }
  })
  const seconds = readPositive('seconds', given.seconds, 5)
  const step = readPositive('step', given.step, 0.02)
  const rows: Array<{ name: string, word: number, force: number }> = []
  for (const { name, settings, rate } of servers.filter(({ name }) => name.includes(given.only ?? ''))) {
    const child = fork(fileURLToPath(new URL('../../test/tune/harness/server.ts', import.meta.url)), [JSON.stringify(settings)], { execArgv: ['--import', 'tsx'] })
    try {
      const [{ origin }] = await once(child, 'message') as [{ origin: string }]
      const options = readOptions(['--url', `${origin}/live`, '--events', 'none', '--rate', String(rate), '--minutes', given.minutes ?? '5', ...given.quick === undefined ? [] : ['--quick']])!
      const { capacity } = await tune(options, events, (text) => { process.stderr.write(`${name}: ${text}\n`) }, new AbortController().signal)
      const word = capacity?.eventsPerSecond.estimate ?? Number.NaN
      rows.push({ name, word, force: await bruteForce(options, word, step, seconds) })
    } finally {
      child.kill()
    }
  }
  process.stdout.write(`${formatTable(rows, [
    { title: 'server', value: ({ name }) => name },
    { title: 'tune: events/s', value: ({ word }) => word.toFixed(1) },
    { title: 'brute force', value: ({ force }) => force.toFixed(1) },
    { title: 'ratio', value: ({ word, force }) => (word / force).toFixed(3) },
    { title: `within ${goal * 100} %`, value: ({ word, force }) => Math.abs(word / force - 1) <= goal ? 'yes' : 'no' }
  ])}\n`)
})

/** The largest load at which the objectives hold in two of three windows, whatever the command's word is; NaN if the time is over before. */
async function bruteForce (options: TuneOptions, word: number, step: number, seconds: number): Promise<number> {
  const generator = await Generator.start(options, events)
  try {
    const stepper = new Stepper(generator, new TuningRoute(options), options.objectives)
    const holdsAt = async (load: number): Promise<boolean> => {
      let held = 0
      for (let repeat = 0; repeat < 3 && held < 2 && held + 3 - repeat >= 2; repeat += 1) {
        const measured = await stepper.measure({ kind: 'measured', repeat, clients: Math.max(1, Math.round(load / options.rate)), load, warmMs: 1_500, windowMs: seconds * 1_000 })
        if (!('reason' in measured) && holds(measured, options.objectives)) held += 1
      }
      process.stderr.write(`brute force, ${load.toFixed(1)} events/s: ${held < 2 ? 'does not hold' : 'holds'}\n`)
      return held >= 2
    }
    const endsAt = Date.now() + longestMs
    let lowest = from * word
    while (!await holdsAt(lowest)) {
      if (Date.now() > endsAt) return Number.NaN
      lowest *= 0.8
    }
    let most = lowest
    for (let load = lowest + step * word, failures = 0; failures < mostFailures; load += step * word) {
      if (Date.now() > endsAt) return Number.NaN
      if (await holdsAt(load)) {
        most = load
        failures = 0
      } else failures += 1
    }
    return most
  } finally {
    await generator.stop()
  }
}
