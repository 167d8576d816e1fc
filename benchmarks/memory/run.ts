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
import { baseline, comparableKinds, kinds } from './kind.ts'
import { describeMoves, judgeMoves, measureMoves, movesSteps } from './moves.ts'
import { describeSent, judgeSent, measureSent, sentKinds, type SentSettings } from './sent.ts'

const descriptorsForItself = 128

await runBenchmark(async () => {
  const given = readCommandLine('bench:memory', {
    streams: { value: 'N,…', help: 'idle streams per server (5000; with --sent 10000)' },
    repeats: { value: 'N', help: 'fresh servers per kind (5)' },
    hold: { value: 'SECONDS', help: 'wait this long with all streams open before reading, heartbeats included (0)' },
    only: { value: 'TEXT', help: 'only kinds whose name contains this, and the baseline' },
    growth: { help: 'instead: a broadcast of 1 MB a second, a tenth of the readers frozen' },
    sent: { help: 'instead: idle streams, and the same after 10000 frames each' },
    moves: { help: 'instead: 10000 leaves and joins of groups a second, beside broadcasts' },
    churn: { help: 'instead: 100,000 connects and disconnects' },
    full: { help: 'all of it: 5000 and 10000 idle streams, growth, churn, sent, moves' },
    seconds: { value: 'N', help: 'duration of the growth (60) or the moves (30)' },
    frames: { value: 'N', help: 'frames that each stream is sent (10000)' },
    readers: { value: 'N', help: 'streams that it goes to (100)' },
    connects: { value: 'N', help: 'connects and disconnects (100000)' },
    compare: { value: 'FOLDER', help: "idle and sent streams also with another working copy's build of the library" },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const isFull = given.full !== undefined
  const hasGrowth = isFull || given.growth !== undefined
  const hasChurn = isFull || given.churn !== undefined
  const hasSent = isFull || given.sent !== undefined
  const hasMoves = isFull || given.moves !== undefined
  const hasIdle = isFull || !(hasGrowth || hasChurn || hasSent || hasMoves)
  const readers = readCount('readers', given.readers, 100)
  const connects = readCount('connects', given.connects, 100_000)
  const compared = comparedKinds(comparableKinds, given.compare)
  const idle: IdleSettings = {
    streams: readCounts('streams', given.streams ?? (isFull ? '5000,10000' : '5000')),
    repeats: readCount('repeats', given.repeats, 5),
    holdSeconds: given.hold === undefined ? 0 : readPositive('hold', given.hold, 0),
    kinds: chooseContaining([...kinds, ...compared], given.only, baseline)
  }
  const growth: GrowthSettings = {
    streams: readers,
    frozen: Math.max(1, Math.round(readers / 10)),
    bytesPerSecond: 1_000_000,
    frameBytes: 20_000,
    seconds: readPositive('seconds', given.seconds, 60)
  }
  const sent: SentSettings = {
    streams: given.streams === undefined ? 10_000 : Math.max(...idle.streams),
    frames: readCount('frames', given.frames, 10_000),
    repeats: idle.repeats,
    kinds: chooseContaining([...sentKinds, ...compared], given.only, 'floor')
  }
  const moveSeconds = readPositive('seconds', given.seconds, 30)
  const most = Math.max(readers, ...hasIdle ? idle.streams : [], hasSent ? sent.streams : 0)
  requireDescriptors(most + warmUpStreams(most) + descriptorsForItself)
  requireBuild()

  const machine = describeMachine(['fastify', '@sinclair/typebox'])
  const progress = new Progress((hasIdle ? idle.streams.length * idle.repeats * idle.kinds.length : 0) +
    (hasGrowth ? growthSteps : 0) + (hasChurn ? churnSteps : 0) + (hasMoves ? movesSteps : 0) + (hasSent ? sent.repeats * sent.kinds.length : 0))
  const rounds = hasIdle ? await measureIdle(idle, progress) : []
  const grown = hasGrowth ? await measureGrowth(growth, progress) : []
  const churned = hasChurn ? await measureChurn(connects, progress) : []
  const moved = hasMoves ? await measureMoves(moveSeconds, progress) : []
  const sentRounds = hasSent ? await measureSent(sent, progress) : []
  publish({
    benchmark: 'memory',
    machine,
    settings: { idle, growth, connects, sent, moveSeconds },
    rounds: [...rounds, ...sentRounds],
    verdicts: [
      ...hasIdle ? judgeIdle(rounds, idle) : [],
      ...judgeGrowth(grown, growth),
      ...judgeChurn(churned),
      ...judgeMoves(moved),
      ...judgeSent(sentRounds, sent)
    ],
    growth: grown,
    churn: churned,
    moves: moved
  }, [
    ...hasIdle ? describeIdle(rounds, idle) : [],
    ...hasGrowth ? describeGrowth(grown, growth) : [],
    ...describeChurn(churned),
    ...describeMoves(moved),
    ...hasSent ? describeSent(sentRounds, sent) : []
  ], given.json)
})
