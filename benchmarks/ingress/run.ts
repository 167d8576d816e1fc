import { mkdirSync } from 'node:fs'
import { separateCores } from '../harness/process/cores.ts'
import { requireDescriptors } from '../harness/process/descriptor-limit.ts'
import { comparedKinds, requireBuild } from '../harness/process/library.ts'
import { readCommandLine, readCount, readPositive, runBenchmark } from '../harness/report/command-line.ts'
import { Comparison } from '../harness/report/comparison.ts'
import { chooseContaining } from '../harness/report/kinds.ts'
import { describeMachine } from '../harness/report/machine.ts'
import { Progress } from '../harness/report/progress.ts'
import { publish } from '../harness/report/report.ts'
import { baseline, comparableKinds, control, kinds as allKinds } from './kind.ts'
import { measureRound, type Round, type Settings } from './round.ts'
import { closedLoopTable, eventsPerSecond, figureOf, fixedRateTable, p99, processorTime, remarksOn } from './tables.ts'

const throughputGoal = 0.95
const processorGoal = 1.07
const latencyGoal = 1.2
const noiseGoal = 0.03

await runBenchmark(async () => {
  const given = readCommandLine('bench:ingress', {
    sessions: { value: 'N', help: 'sessions, each with an open stream, that the events are spread over (100)' },
    connections: { value: 'N', help: 'connections of the closed loop (50)' },
    events: { value: 'N', help: 'events of one slice of the closed loop (60000)' },
    rotations: { value: 'N', help: 'such slices per kind and repeat (4)' },
    seconds: { value: 'N', help: 'measured at the fixed rate per kind and repeat (6)' },
    repeats: { value: 'N', help: 'times that all begin again with fresh servers (5)' },
    rate: { value: 'FRACTION', help: 'fixed rate, as a part of what the bare route reached in the closed loop (0.5)' },
    quick: { help: '2 repeats of 10000 events and of 2 seconds, to see that it runs' },
    only: { value: 'TEXT', help: 'only kinds whose name contains this, and the baseline' },
    compare: { value: 'FOLDER', help: "also another working copy's build of the library" },
    profile: { value: 'FOLDER', help: 'write a .cpuprofile of each closed loop there' },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const quick = given.quick !== undefined
  const settings: Settings = {
    sessions: readCount('sessions', given.sessions, 100),
    connections: readCount('connections', given.connections, 50),
    events: readCount('events', given.events, quick ? 10_000 : 60_000),
    rotations: readCount('rotations', given.rotations, quick ? 1 : 4),
    seconds: readCount('seconds', given.seconds, quick ? 2 : 6),
    warmUpSeconds: quick ? 1 : 2,
    repeats: readCount('repeats', given.repeats, quick ? 2 : 5),
    rateFraction: readPositive('rate', given.rate, 0.5),
    ...given.profile === undefined ? {} : { profiles: given.profile }
  }
  const kinds = chooseContaining([...allKinds, ...comparedKinds(comparableKinds, given.compare)], given.only, baseline)
  requireDescriptors(settings.sessions + settings.connections + 128)
  requireBuild()
  if (given.profile !== undefined) mkdirSync(given.profile, { recursive: true })

  const machine = describeMachine(['fastify', '@sinclair/typebox', 'autocannon'])
  const progress = new Progress(settings.repeats)
  const rounds: Round[] = []
  for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
    rounds.push(...await measureRound(kinds, repeat, settings, (step) => progress.begin(`repeat ${repeat + 1}: ${step}`)))
    progress.end()
  }

  const comparison = new Comparison(rounds, baseline)
  const names = kinds.map(({ name }) => name)
  const sent = `${settings.sessions} sessions, medians of ${settings.repeats} repeats of`
  const cores = separateCores() === null ? 'server and load share their cores' : 'server and load on a core each'
  const rates = [...new Set(rounds.map(({ requestsPerSecond }) => requestsPerSecond))].join(', ')
  const noise = comparison.judge({ kind: control, what: 'server CPU per event, the noise', figure: figureOf('closedLoop', processorTime), direction: 'within', limit: noiseGoal })
  const verdicts = kinds.filter(({ server }) => server === 'tether').flatMap(({ name: kind }) => [
    ...comparison.judge({ kind, what: 'events a second', figure: figureOf('closedLoop', eventsPerSecond), direction: 'at least', limit: throughputGoal }),
    ...comparison.judge({ kind, what: 'server CPU per event', figure: figureOf('closedLoop', processorTime), direction: 'at most', limit: processorGoal }),
    ...comparison.judge({ kind, what: 'p99 at the fixed rate', figure: figureOf('fixedRate', p99), direction: 'at most', limit: latencyGoal })
  ])
  publish({ benchmark: 'ingress', machine, settings, rounds, verdicts: [...noise, ...verdicts] }, [
    `Closed loop: ${settings.connections} connections, ${sent} ${settings.rotations} × ${settings.events} events, ${cores}`, closedLoopTable(comparison, names),
    `Fixed rate: ${rates} requests a second, ${sent} ${settings.seconds} s`, fixedRateTable(comparison, names),
    remarksOn(rounds)
  ], given.json)
})
