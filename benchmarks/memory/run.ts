import { requireDescriptors } from '../harness/process/descriptor-limit.ts'
import { comparedKinds, requireBuild } from '../harness/process/library.ts'
import { warmUpStreams } from '../harness/process/memory-reading.ts'
import { readCommandLine, readCount, readCounts, readPositive, runBenchmark } from '../harness/report/command-line.ts'
import { chooseContaining } from '../harness/report/kinds.ts'
import { describeMachine } from '../harness/report/machine.ts'
import { Progress } from '../harness/report/progress.ts'
import { publish } from '../harness/report/report.ts'
import { churnSteps, describeChurn, judgeChurn, measureChurn } from './churn.ts'
import { describeGrowth, growthSteps, judgeGrowth, measureGrowth, type GrowthSettings } from './growth.ts'
import { describeIdle, judgeIdle, measureIdle, type IdleSettings } from './idle.ts'
import { baseline, comparableKinds, describeOutcome, kinds } from './kind.ts'

const descriptorsForItself = 128

await runBenchmark(async () => {
  const given = readCommandLine('bench:memory', {
    streams: { value: 'N,…', help: 'idle streams per server (5000)' },
    repeats: { value: 'N', help: 'fresh servers per kind (5)' },
    hold: { value: 'SECONDS', help: 'wait this long with all streams open before reading, heartbeats included (0)' },
    only: { value: 'TEXT', help: 'only kinds whose name contains this, and the baseline' },
    growth: { help: 'instead: a broadcast of 1 MB a second, a tenth of the readers frozen' },
    churn: { help: 'instead: 100,000 connects and disconnects' },
    full: { help: 'all of it: 5000 and 10000 idle streams, growth, churn' },
    seconds: { value: 'N', help: 'duration of the broadcast (60)' },
    readers: { value: 'N', help: 'streams that it goes to (100)' },
    connects: { value: 'N', help: 'connects and disconnects (100000)' },
    compare: { value: 'FOLDER', help: "idle streams also with another working copy's build of the library" },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const isFull = given.full !== undefined
  const hasGrowth = isFull || given.growth !== undefined
  const hasChurn = isFull || given.churn !== undefined
  const hasIdle = isFull || !(hasGrowth || hasChurn)
  const readers = readCount('readers', given.readers, 100)
  const connects = readCount('connects', given.connects, 100_000)
  const idle: IdleSettings = {
    streams: readCounts('streams', given.streams ?? (isFull ? '5000,10000' : '5000')),
    repeats: readCount('repeats', given.repeats, 5),
    holdSeconds: given.hold === undefined ? 0 : readPositive('hold', given.hold, 0),
    kinds: chooseContaining([...kinds, ...comparedKinds(comparableKinds, given.compare)], given.only, baseline)
  }
  const growth: GrowthSettings = {
    streams: readers,
    frozen: Math.max(1, Math.round(readers / 10)),
    bytesPerSecond: 1_000_000,
    frameBytes: 20_000,
    seconds: readPositive('seconds', given.seconds, 60)
  }
  const most = hasIdle ? Math.max(...idle.streams) : readers
  requireDescriptors(most + warmUpStreams(most) + descriptorsForItself)
  requireBuild()

  const machine = describeMachine(['fastify', '@sinclair/typebox'])
  const progress = new Progress((hasIdle ? idle.streams.length * idle.repeats * idle.kinds.length : 0) +
    (hasGrowth ? growthSteps : 0) + (hasChurn ? churnSteps : 0))
  const rounds = hasIdle ? await measureIdle(idle, progress) : []
  const grown = hasGrowth ? await measureGrowth(growth, progress) : []
  const churned = hasChurn ? await measureChurn(connects, progress) : []
  const outcomes = [...judgeGrowth(grown, growth), ...judgeChurn(churned)]
  publish({
    benchmark: 'memory',
    machine,
    settings: { idle, growth, connects },
    rounds,
    verdicts: hasIdle ? judgeIdle(rounds, idle) : [],
    growth: grown,
    churn: churned,
    outcomes
  }, [
    ...hasIdle ? describeIdle(rounds, idle) : [],
    ...hasGrowth ? describeGrowth(grown, growth) : [],
    ...hasChurn ? describeChurn(churned) : [],
    outcomes.map(describeOutcome).join('\n')
  ], given.json)
})
