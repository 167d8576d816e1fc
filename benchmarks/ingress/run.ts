import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ChildProcess } from '../harness/child-process.ts'
import { readCommandLine, readCount, readPositive, runBenchmark } from '../harness/command-line.ts'
import { requireDescriptors } from '../harness/descriptor-limit.ts'
import { describeMachine } from '../harness/machine.ts'
import { requirePluginBuild } from '../harness/plugin-build.ts'
import { Progress } from '../harness/progress.ts'
import { publish } from '../harness/report.ts'
import { rotated } from '../harness/rotation.ts'
import { judge, type Verdict } from '../harness/verdict.ts'
import { requireOpenStreams, withContestants, type Contestant } from './contestant.ts'
import { baseline, comparedKinds, kinds } from './kind.ts'
import type { LoadCalls, LoadOptions } from './load.ts'
import { eventsPerSecond, join, p99, processorTime, ratios, type Measurement, type Part, type Round } from './measurement.ts'
import { closedLoopTable, fixedRateTable, remarks } from './tables.ts'

interface Settings {
  readonly sessions: number
  readonly connections: number
  /** Measured per kind, part and repeat, in slices. */
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly repeats: number
  readonly rateFraction: number
}

const throughputGoal = 0.9
/** What the same goal means for the server's own time, which other work on the machine disturbs less. */
const processorGoal = Number((1 / throughputGoal).toFixed(2))
const latencyGoal = 1.2
/** Kinds take turns this often, so that whatever else the machine does meets all of them alike. */
const closedSliceSeconds = 1
/** Longer, since the rate needs a second to become even, which is not measured. */
const rateSliceSeconds = 2
/** Handlers of the last accepted events run within this. */
const lastHandlersMs = 100
/** What autocannon may take beyond the duration that it is given. */
const driveSlackMs = 20_000

async function run (): Promise<void> {
  const given = readCommandLine('bench:ingress', {
    sessions: { value: 'N', help: 'sessions, each with an open stream, that the events are spread over (100)' },
    connections: { value: 'N', help: 'connections of the closed loop (50)' },
    seconds: { value: 'N', help: 'measured per kind, part and repeat (6)' },
    repeats: { value: 'N', help: 'times that all begin again with fresh servers (5)' },
    rate: { value: 'FRACTION', help: 'fixed rate, as a part of what the bare route reached in the closed loop (0.5)' },
    quick: { help: '2 repeats of 2 seconds, to see that it runs' },
    only: { value: 'TEXT', help: 'only kinds whose name contains this, and the baseline' },
    compare: { value: 'FOLDER', help: "also another working copy's build of the library" },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const quick = given.quick !== undefined
  const settings: Settings = {
    sessions: readCount('sessions', given.sessions, 100),
    connections: readCount('connections', given.connections, 50),
    seconds: readCount('seconds', given.seconds, quick ? 2 : 6),
    warmUpSeconds: quick ? 1 : 2,
    repeats: readCount('repeats', given.repeats, quick ? 2 : 5),
    rateFraction: readPositive('rate', given.rate, 0.5)
  }
  const available = given.compare === undefined ? kinds : [...kinds, ...comparedKinds(resolve(given.compare))]
  const chosen = available.filter(({ name }) => name === baseline || name.includes(given.only ?? ''))
  requireDescriptors(settings.sessions + settings.connections + 128)
  requirePluginBuild()

  const machine = describeMachine(['fastify', '@sinclair/typebox', 'autocannon'])
  const progress = new Progress(settings.repeats)
  const rounds: Round[] = []
  for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
    progress.begin(`repeat ${repeat + 1} of all kinds`)
    rounds.push(...await withContestants(chosen, settings.sessions, async (contestants, load) =>
      await measure(contestants, load, repeat, settings)))
    progress.end()
  }

  const names = chosen.map(({ name }) => name)
  const sent = `${settings.sessions} sessions, medians of ${settings.repeats} repeats of ${settings.seconds} s`
  const rates = [...new Set(rounds.map(({ requestsPerSecond }) => requestsPerSecond))].join(', ')
  publish({
    benchmark: 'ingress',
    machine,
    settings,
    rounds,
    verdicts: names.filter((name) => name.startsWith('tether')).flatMap((name) => verdictsOf(rounds, name))
  }, [
    `Closed loop: ${settings.connections} connections, ${sent}`, '', closedLoopTable(rounds, names), '',
    `Fixed rate: ${rates} requests a second, ${sent}`, '', fixedRateTable(rounds, names),
    ...remarks(rounds)
  ], given.json)
}

/** One repeat: closed loop, then fixed rate, in slices that go round. */
async function measure (
  contestants: readonly Contestant[],
  load: ChildProcess<LoadCalls>,
  repeat: number,
  settings: Settings
): Promise<Round[]> {
  const drive = async (
    { kind, port, requests }: Contestant,
    record: string,
    options: Pick<LoadOptions, 'seconds' | 'connections' | 'requestsPerSecond'>
  ): Promise<void> => {
    const timeoutMs = options.seconds * 1000 + driveSlackMs
    await load.call('drive', { ...options, record: `${record}, ${kind.name}`, port, requests }, timeoutMs)
    await delay(lastHandlersMs)
  }
  const goRound = async (
    part: Part,
    sliceSeconds: number,
    options: Pick<LoadOptions, 'connections' | 'requestsPerSecond'>
  ): Promise<void> => {
    for (let slice = 0; slice < Math.ceil(settings.seconds / sliceSeconds); slice += 1) {
      for (const contestant of rotated(contestants, repeat + slice)) {
        await contestant.server.call('beginSlice', undefined)
        await drive(contestant, part, { ...options, seconds: sliceSeconds })
        const { handled, processorMicroseconds } = await contestant.server.call('endSlice', undefined)
        const before = contestant.served[part]
        contestant.served[part] = {
          handled: before.handled + handled,
          processorMicroseconds: before.processorMicroseconds + processorMicroseconds
        }
      }
    }
  }
  const read = async (contestant: Contestant, part: Part): Promise<Measurement> =>
    join(await load.call('read', `${part}, ${contestant.kind.name}`), contestant.served[part])

  for (const contestant of rotated(contestants, repeat)) {
    await drive(contestant, 'warm-up', { seconds: settings.warmUpSeconds, connections: settings.connections })
  }
  await goRound('closedLoop', closedSliceSeconds, { connections: settings.connections })
  const bare = contestants.find(({ kind }) => kind.name === baseline)
  if (bare === undefined) throw new Error('there is no baseline')
  // Many connections with a small share each keep the stream even; a share is a whole number.
  const wanted = (await read(bare, 'closedLoop')).eventsPerSecond * settings.rateFraction
  const requestsPerSecond = Math.max(1, Math.round(wanted / settings.sessions)) * settings.sessions
  // The load generator's own code for it is cold before, and whoever came first would be measured by that.
  await drive(bare, 'warm-up', { seconds: 1, connections: settings.sessions, requestsPerSecond })
  await goRound('fixedRate', rateSliceSeconds, { connections: settings.sessions, requestsPerSecond })

  return await Promise.all(contestants.map(async (contestant) => {
    await requireOpenStreams(contestant, settings.sessions)
    return {
      kind: contestant.kind.name,
      repeat,
      requestsPerSecond,
      closedLoop: await read(contestant, 'closedLoop'),
      fixedRate: await read(contestant, 'fixedRate')
    }
  }))
}

function verdictsOf (rounds: readonly Round[], name: string): Verdict[] {
  return [
    judge({ name: `${name}: events a second`, direction: 'at least', limit: throughputGoal },
      ratios(rounds, name, 'closedLoop', eventsPerSecond)),
    judge({ name: `${name}: server CPU per event`, direction: 'at most', limit: processorGoal },
      ratios(rounds, name, 'closedLoop', processorTime)),
    judge({ name: `${name}: p99 at the fixed rate`, direction: 'at most', limit: latencyGoal },
      ratios(rounds, name, 'fixedRate', p99))
  ]
}

await runBenchmark(run)
