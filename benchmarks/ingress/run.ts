import { requireDescriptors } from '../harness/process/descriptor-limit.ts'
import { comparedKinds, requireBuild } from '../harness/process/library.ts'
import { readCommandLine, readCount, readPositive, runBenchmark } from '../harness/report/command-line.ts'
import { Comparison } from '../harness/report/comparison.ts'
import { chooseContaining } from '../harness/report/kinds.ts'
import { describeMachine } from '../harness/report/machine.ts'
import { Progress } from '../harness/report/progress.ts'
import { publish } from '../harness/report/report.ts'
import { baseline, comparableKinds, kinds as allKinds } from './kind.ts'
import { measureRound, type Round, type Settings } from './round.ts'
import { closedLoopTable, eventsPerSecond, figureOf, fixedRateTable, p99, processorTime, remarksOn } from './tables.ts'

const throughputGoal = 0.95
const processorGoal = 1.07
const latencyGoal = 1.2

await runBenchmark(async () => {
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
  const kinds = chooseContaining([...allKinds, ...comparedKinds(comparableKinds, given.compare)], given.only, baseline)
  requireDescriptors(settings.sessions + settings.connections + 128)
  requireBuild()

  const machine = describeMachine(['fastify', '@sinclair/typebox', 'autocannon'])
  const progress = new Progress(settings.repeats)
  const rounds: Round[] = []
  for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
    progress.begin(`repeat ${repeat + 1} of all kinds`)
    rounds.push(...await measureRound(kinds, repeat, settings))
    progress.end()
  }

  const comparison = new Comparison(rounds, baseline)
  const names = kinds.map(({ name }) => name)
  const sent = `${settings.sessions} sessions, medians of ${settings.repeats} repeats of ${settings.seconds} s`
  const rates = [...new Set(rounds.map(({ requestsPerSecond }) => requestsPerSecond))].join(', ')
  const verdicts = kinds.filter(({ server }) => server === 'tether').flatMap(({ name: kind }) => [
    ...comparison.judge({ kind, what: 'events a second', figure: figureOf('closedLoop', eventsPerSecond), direction: 'at least', limit: throughputGoal }),
    ...comparison.judge({ kind, what: 'server CPU per event', figure: figureOf('closedLoop', processorTime), direction: 'at most', limit: processorGoal }),
    ...comparison.judge({ kind, what: 'p99 at the fixed rate', figure: figureOf('fixedRate', p99), direction: 'at most', limit: latencyGoal })
  ])
  publish({ benchmark: 'ingress', machine, settings, rounds, verdicts }, [
    `Closed loop: ${settings.connections} connections, ${sent}`, closedLoopTable(comparison, names),
    `Fixed rate: ${rates} requests a second, ${sent}`, fixedRateTable(comparison, names),
    remarksOn(rounds)
  ], given.json)
})
