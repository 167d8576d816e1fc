import process from 'node:process'
import { requireDescriptors } from '../harness/process/descriptor-limit.ts'
import { requireBuild } from '../harness/process/library.ts'
import { readCommandLine, readCount, readPositive, runBenchmark } from '../harness/report/command-line.ts'
import { Comparison } from '../harness/report/comparison.ts'
import { describeMachine } from '../harness/report/machine.ts'
import { Progress } from '../harness/report/progress.ts'
import { publish } from '../harness/report/report.ts'
import { describeBroadcasts, judgeBroadcasts, measureBroadcasts, type BroadcastRound, type BroadcastSettings } from './broadcast.ts'
import { describeFreezing, judgeFreezing, measureFreezing, type FreezeRound, type FreezeSettings } from './freezing.ts'
import { baseline, control, kinds } from './kind.ts'
import { modes } from './persist-mode.ts'
import { describePersist, measurePersist, type PersistRound, type PersistSettings } from './persist.ts'
import { describeRequests, judgeRequests, measureRequests, type RequestRound, type RequestSettings } from './requests.ts'

const parts = ['broadcast', 'requests', 'persist', 'freezing'] as const
const noiseGoal = 0.1

await runBenchmark(async () => {
  const given = readCommandLine('bench:cluster', {
    only: { value: 'PART', help: `one of ${parts.join(', ')} (all)` },
    repeats: { value: 'N', help: 'times that all begin again with fresh processes (9)' },
    rate: { value: 'N', help: 'broadcasts a second, for latency (1000)' },
    seconds: { value: 'N', help: 'duration of these (3)' },
    frames: { value: 'N', help: 'broadcasts as fast as they go (100000)' },
    posts: { value: 'N', help: 'POSTs at each node (1000)' },
    streams: { value: 'N', help: 'streams opened again at each node (200)' },
    slice: { value: 'SECONDS', help: 'of one slice of POSTs for each mode of persist (1)' },
    sessions: { value: 'N', help: 'sessions that are frozen (10000)' },
    quick: { help: '2 repeats of 1 second, 20000 frames, 1000 sessions, to see that it runs' },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const quick = given.quick !== undefined
  const { only } = given
  if (only !== undefined && !(parts as readonly string[]).includes(only)) throw new Error(`--only must be one of ${parts.join(', ')}, got ${only}`)
  const has = (part: typeof parts[number]) => only === undefined || only === part
  const repeats = readCount('repeats', given.repeats, quick ? 2 : 9)
  const broadcast: BroadcastSettings = {
    perSecond: readCount('rate', given.rate, 1_000),
    seconds: readPositive('seconds', given.seconds, quick ? 1 : 3),
    frames: readCount('frames', given.frames, quick ? 20_000 : 100_000),
    bytes: 200
  }
  const requests: RequestSettings = { posts: readCount('posts', given.posts, quick ? 200 : 1_000), streams: readCount('streams', given.streams, quick ? 50 : 200) }
  const freeze: FreezeSettings = { sessions: readCount('sessions', given.sessions, quick ? 1_000 : 10_000), held: 20 }
  const persist: PersistSettings = { sessions: 100, connections: 50, seconds: readPositive('slice', given.slice, 1), turns: quick ? 1 : 3 }
  requireDescriptors(Math.max(freeze.sessions, requests.streams, modes.length * persist.sessions + persist.connections) + 256)
  requireBuild()

  const machine = describeMachine(['fastify', 'ioredis'])
  const progress = new Progress(repeats * parts.filter(has).length)
  const broadcasts: BroadcastRound[] = []
  const requested: RequestRound[] = []
  const persisted: PersistRound[] = []
  const frozen: FreezeRound[] = []
  // Ctrl-C leads here as well; nothing asynchronous runs after it.
  process.on('exit', report)
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    const onStep = (step: string): void => { progress.begin(`repeat ${repeat + 1} of ${repeats}: ${step}`) }
    if (has('broadcast')) {
      broadcasts.push(...await measureBroadcasts(kinds, repeat, broadcast, onStep))
      progress.end()
    }
    if (has('requests')) {
      requested.push(...await measureRequests(repeat, requests, onStep))
      progress.end()
    }
    if (has('persist')) {
      persisted.push(...await measurePersist(repeat, persist, onStep))
      progress.end()
    }
    if (has('freezing')) {
      frozen.push(...await measureFreezing(repeat, freeze, onStep))
      progress.end()
    }
  }

  function report (): void {
    const rounds = [...broadcasts, ...requested, ...persisted, ...frozen]
    if (rounds.length === 0) return
    const comparison = new Comparison(broadcasts, baseline)
    publish({
      benchmark: 'cluster',
      machine,
      settings: { repeats, broadcast, requests, persist, freeze },
      rounds,
      verdicts: [
        ...comparison.judge({ kind: control, what: 'broadcasts in hundreds, the noise', figure: ({ hundreds }) => hundreds.framesPerSecond, direction: 'within', limit: noiseGoal }),
        ...judgeBroadcasts(comparison, broadcasts, kinds),
        ...judgeRequests(requested),
        ...judgeFreezing(frozen, freeze)
      ]
    }, [
      `Medians of ${repeats} repeats`,
      ...broadcasts.length > 0 ? describeBroadcasts(comparison, kinds.map(({ name }) => name), broadcast) : [],
      ...describeRequests(requested, requests),
      ...describePersist(persisted, persist),
      ...describeFreezing(frozen, freeze)
    ], given.json)
  }
})
