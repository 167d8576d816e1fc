import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { defaults } from '../../schemas/defaults.ts'
import { withChildren } from '../harness/process/child-process.ts'
import { requireDescriptors } from '../harness/process/descriptor-limit.ts'
import { requireBuild } from '../harness/process/library.ts'
import { renderImage } from '../harness/report/chart.ts'
import { readCommandLine, readCount, readCounts as readCountList, readPositive, runBenchmark } from '../harness/report/command-line.ts'
import { describeMachine } from '../harness/report/machine.ts'
import { Progress } from '../harness/report/progress.ts'
import { parseBytes, parseDuration } from '../harness/report/quantity.ts'
import { rotated } from '../harness/report/rotation.ts'
import { advise, type Goals } from './advice.ts'
import { extents, powersOfTwo, type Extent } from './extent.ts'
import { readFanOut } from './fan-out.ts'
import { Bench, type Measurement, type MeasurementSettings } from './measurement.ts'
import type { IdleMemory } from './memory-model.ts'
import { renderPage } from './page.ts'
import { planCells } from './plan.ts'
import { plotsOf } from './plots.ts'
import { readResults, writeResults, type Results } from './results.ts'
import { parseSpeeds } from './speed.ts'
import { describeResults } from './terminal.ts'
import { describeWorkload, type Workload } from './workload.ts'

/** File descriptors besides streams and connections: modules, standard streams, the child's channel. */
const descriptorsForItself = 128

/** The results so far, which are published when the run ends. */
interface Run extends Pick<Results, 'settings' | 'goals' | 'fanOut' | 'machine'> {
  readonly measurements: Measurement[]
  readonly folder: string
  readonly images: string | undefined
  idle: IdleMemory | null
  complete: boolean
}

await runBenchmark(async () => {
  const given = readCommandLine('bench', {
    quick: { help: 'a few sizes, short windows: under 2 minutes' },
    full: { help: 'every combination of sizes, workloads and channels: hours' },
    'target-p99': { value: 'TIME', help: 'longest p99 from event to update, 50ms say' },
    budget: { value: 'SIZE', help: 'memory of one server process, 256MB say' },
    clients: { value: 'N', help: 'clients that it serves at a time (1000)' },
    stalled: { value: 'SHARE', help: 'part of them that may stall at a time, for whom memory is kept (0.1)' },
    'write-buffers': { value: 'N,…', help: `sizes of the write buffer (${powersOfTwo})` },
    'command-buffers': { value: 'N,…', help: 'sizes of the command channel (16,64,256)' },
    'update-sizes': { value: 'SIZE,…', help: 'bytes of one update (2KB)' },
    updates: { value: 'N,…', help: 'updates that one event makes (16)' },
    rates: { value: 'N,…', help: 'events a second of each session at the fixed rate (40)' },
    readers: { value: 'SPEED,…', help: 'speeds of readers (fast,1MB/s,100KB/s,20KB/s,frozen)' },
    sessions: { value: 'N', help: 'sessions of each speed (4)' },
    connections: { value: 'N', help: 'most connections that post to one session (4)' },
    repeats: { value: 'N', help: 'fresh servers of each setting (5)' },
    seconds: { value: 'N', help: 'duration of the window at a fixed rate (4)' },
    minutes: { value: 'N', help: 'no new measurement begins after that (20)' },
    'fan-out': { value: 'FILE', help: 'JSON of bench:fan-out, for bars in the report (none)' },
    from: { value: 'FILE', help: 'measure nothing: advice and report from the figures of an earlier run' },
    images: { value: 'FOLDER', help: 'also write the charts there, an SVG file each' },
    out: { value: 'FOLDER', help: 'where report and figures go (benchmarks/results)' }
  })
  if (given.quick !== undefined && given.full !== undefined) throw new Error('--quick and --full exclude each other')
  const goals: Goals = {
    clients: readCount('clients', given.clients, 1_000),
    stalledShare: readShare('stalled', given.stalled, 0.1),
    ...given['target-p99'] === undefined ? {} : { targetMs: parseDuration('target-p99', given['target-p99']) },
    ...given.budget === undefined ? {} : { budgetBytes: parseBytes('budget', given.budget) }
  }
  const fanOutFile = given['fan-out']
  const fanOut = fanOutFile === undefined || fanOutFile === 'none' ? [] : readFanOut(fanOutFile)
  const folder = given.out ?? fileURLToPath(new URL('../results/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  if (given.from !== undefined) {
    const { settings, machine, measurements, idle, complete, fanOut: earlier } = readResults(given.from)
    publish({ settings, machine, measurements: [...measurements], idle, complete, goals, fanOut: fanOut.length > 0 ? fanOut : earlier, folder, images: given.images })
    return
  }
  const extent = extents[given.quick !== undefined ? 'quick' : given.full !== undefined ? 'full' : 'usual']
  const seconds = readPositive('seconds', given.seconds, extent.seconds)
  const settings: MeasurementSettings = {
    speeds: parseSpeeds('readers', given.readers ?? 'fast,1MB/s,100KB/s,20KB/s,frozen'),
    sessionsPerSpeed: readCount('sessions', given.sessions, extent.sessions),
    connectionsPerSession: readCount('connections', given.connections, 4),
    closedLoopSeconds: Math.max(1, Math.round(seconds / 2)),
    fixedRateSeconds: Math.max(1, Math.round(seconds)),
    tailSeconds: extent.tailSeconds
  }
  if (settings.speeds.every(({ bytesPerSecond }) => bytesPerSecond === 0)) {
    throw new Error('--readers names nobody who reads, so there is nothing to measure')
  }
  const writeBuffers = readCounts('write-buffers', given['write-buffers'] ?? extent.writeBuffers)
  const commandBuffers = readCounts('command-buffers', given['command-buffers'] ?? extent.commandBuffers)
  const kept = {
    writeBuffer: preferred(writeBuffers, defaults.upgrade.writeBuffer),
    commandBuffer: preferred(commandBuffers, defaults.stateful.commandBuffer)
  }
  const workloads = readWorkloads(given['update-sizes'] ?? extent.updateSizes, given.updates ?? extent.updates, given.rates ?? extent.rates)
  const cells = planCells({
    workloads,
    writeBuffers,
    commandBuffers,
    fixedWriteBuffer: kept.writeBuffer,
    fixedCommandBuffer: kept.commandBuffer,
    crossed: extent.crossed
  })
  const repeats = readCount('repeats', given.repeats, extent.repeats)
  const minutes = readPositive('minutes', given.minutes, extent.minutes)
  const streams = settings.speeds.length * settings.sessionsPerSpeed
  requireDescriptors(Math.max(extent.idleStreams, streams * (1 + settings.connectionsPerSession)) + descriptorsForItself)
  requireBuild()

  const run: Run = {
    settings: { ...settings, ...kept, repeats, cells },
    goals,
    fanOut,
    machine: describeMachine(['fastify', '@sinclair/typebox', 'autocannon']),
    measurements: [],
    folder,
    images: given.images,
    idle: null,
    complete: false
  }
  // Ctrl-C leads here as well; nothing asynchronous runs after it.
  process.on('exit', () => publish(run))
  await measureAll(run, extent, Date.now() + minutes * 60_000)
})

async function measureAll (run: Run, { idleStreams }: Extent, endAt: number): Promise<void> {
  const { settings: { cells, repeats, commandBuffer } } = run
  const [first] = cells
  if (first === undefined) throw new Error('there is nothing to measure')
  const progress = new Progress(1 + repeats * cells.length, endAt)
  await withChildren(async (children) => {
    const bench = await Bench.start(children)
    progress.begin('memory of idle streams')
    run.idle = await bench.measureIdle({ ...first, commandBuffer }, idleStreams)
    progress.end()
    run.complete = await measureCells(run, bench, progress, endAt)
  })
}

/** Returns whether all cells were measured within the time limit. */
async function measureCells (run: Run, bench: Bench, progress: Progress, endAt: number): Promise<boolean> {
  const { settings: { cells, repeats, ...settings }, measurements } = run
  const startedAt = Date.now()
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    for (const cell of rotated(cells, repeat)) {
      const expectedMs = (Date.now() - startedAt) / Math.max(1, measurements.length)
      if (Date.now() + expectedMs > endAt) {
        process.stderr.write(`\ntime is up after ${measurements.length} of ${repeats * cells.length} measurements (--minutes)\n`)
        return false
      }
      progress.begin(`repeat ${repeat + 1}, writeBuffer ${cell.writeBuffer}, commandBuffer ${cell.commandBuffer}, ${describeWorkload(cell.workload)}`)
      measurements.push(await bench.measure(cell, repeat, settings))
      progress.end()
    }
  }
  return true
}

/** Writes and prints the results so far. */
function publish ({ folder, images, ...run }: Run): void {
  const { measurements, idle, goals, settings: { speeds, commandBuffer, writeBuffer } } = run
  if (measurements.length === 0) return
  const results: Results = {
    ...run,
    benchmark: 'buffer-sizing',
    finishedAt: new Date().toISOString(),
    advice: advise({ measurements, speeds, idle, goals, commandBuffer, writeBuffer })
  }
  const figures = join(folder, 'buffer-sizing.json')
  const page = join(folder, 'buffer-sizing.html')
  writeFileSync(figures, writeResults(results))
  writeFileSync(page, renderPage(results))
  if (images !== undefined) writeImages(results, images)
  process.stdout.write(`${describeResults(results)}\n\nreport: ${page}\nfigures: ${figures}\n`)
}

function writeImages (results: Results, folder: string): void {
  mkdirSync(folder, { recursive: true })
  const [first] = results.advice
  if (first === undefined) return
  for (const plot of plotsOf(results, first)) writeFileSync(join(folder, `sizing-${plot.id}.svg`), renderImage(plot.svg))
}

function readWorkloads (sizes: string, updates: string, rates: string): Workload[] {
  return sizes.split(',').map((text) => parseBytes('update-sizes', text)).flatMap((updateBytes) =>
    readCounts('updates', updates).flatMap((updatesPerEvent) =>
      readCounts('rates', rates).map((eventsPerSecond) => ({ updateBytes, updatesPerEvent, eventsPerSecond }))))
}

function readCounts (name: string, list: string): number[] {
  return [...new Set(readCountList(name, list))].sort((first, second) => first - second)
}

function readShare (name: string, text: string | undefined, otherwise: number): number {
  const share = readPositive(name, text, otherwise)
  if (share <= 1) return share
  throw new Error(`--${name} must be a part of 1, got ${JSON.stringify(text)}`)
}

function preferred (sizes: readonly number[], size: number): number {
  return sizes.includes(size) ? size : sizes[0] ?? size
}
