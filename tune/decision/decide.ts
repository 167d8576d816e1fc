import type { TuneOptions } from '../input/options.ts'
import { describeMachine, type Machine } from '../measure/machine.ts'
import type { Measured } from '../measure/measured.ts'
import { byLoad, holds, keptUp, type Step } from '../measure/step.ts'
import { format, type Results } from './results.ts'
import { bootstrap } from '../statistics/bootstrap.ts'
import { kneeOf } from '../statistics/knee.ts'
import { agreesWithLittle } from '../statistics/little.ts'
import { peakOf, scalabilityOf } from '../statistics/scalability.ts'
import { advise } from './advice.ts'
import { capacityOf, sampleFor, type Estimate } from './capacity.ts'
import { doubtOf } from './doubt.ts'
import { findLimit } from './limit.ts'
import { fitMemory } from './memory.ts'
import { judgeNoise, undisturbed } from './noise.ts'
import { exitCodes, judge } from './verdict.ts'

/** Says what the steps of a run mean. */
export function decide (measured: Measured, options: TuneOptions, startedAt: Date, machine: Machine = describeMachine()): Results {
  const remarks = [...measured.remarks]
  const good = measured.steps.filter((step) => step.void === null)
  const main = good.filter(({ kind }) => kind !== 'ramp')
  const fails = (step: Step): boolean => !holds(step, options.objectives)
  const largest = (steps: readonly Step[]): number => Math.max(...steps.map(({ load }) => load))
  // A run that ended early has its ramp at least, and perhaps only there a load that failed, or the largest one.
  const used = main.length >= 3 && (main.some(fails) || (!good.some(fails) && largest(main) >= largest(good))) ? main : good
  const voided = measured.steps.length - good.length
  if (voided > 0) remarks.push(`${voided} of ${measured.steps.length} steps are void: the first because ${measured.steps.find((step) => step.void !== null)!.void}.`)
  const silent = measured.steps.find(({ probe }) => probe.silent !== null)?.probe.silent ?? null
  if (silent !== null) remarks.push(`There are no latencies of pings: ${silent}.`)
  const groups = byLoad(used).map(undisturbed)
  const disturbed = used.length - groups.flat().length
  if (disturbed > 0) remarks.push(`${disturbed} of ${used.length} steps do not count: other processes were busy in them, and less so in another of the same load.`)
  const objectives = options.objectives.map(({ name, share, limitMs }) => ({
    name, share, limitMs, capacity: capacityOf(groups.map((group) => group.map((step) => sampleFor(step, { name, share, limitMs }))), limitMs)
  }))
  const found = objectives.reduce<Estimate | null>((least, one) => one.capacity === null ? least : least === null || one.capacity.estimate < least.estimate ? one.capacity : least, null)
  const deciding = options.objectives[objectives.findIndex((one) => one.capacity === found)] ?? options.objectives[0]!
  const doubt = found === null ? null : doubtOf(found, groups, good, options.objectives)
  const capacity = doubt?.capacity ?? found
  const isInDoubt = doubt?.isTooWide === true
  if (doubt !== null) remarks.push('Other processes disturbed every step in which an objective did not hold: the server may bear more.')
  const memory = fitMemory(main.flatMap(({ server }) => server?.memory ?? []))
  const noise = judgeNoise(measured.steps)
  const finding = findLimit({ steps: used, capacity, memory, isOverMemory: measured.isOverMemory, isGeneratorLimited: measured.isGeneratorLimited, refusal: measured.refusal, objective: deciding, isInDoubt })
  const unsteady = used.filter((step) => keptUp(step) && step.server !== null && !agreesWithLittle(step.server.flow)).length
  if (unsteady > used.length / 4) remarks.push(`In ${unsteady} of ${used.length} steps the server's own figures contradict Little's law: it was not in a steady state.`)
  const clients = capacity === null ? 0 : Math.floor(capacity.estimate / options.rate + 1e-6)
  const verdict = judge({
    capacity,
    target: options.hasMaxClients ? options.maxClients * options.rate : null,
    margin: noise.margin,
    isGeneratorLimited: measured.isGeneratorLimited,
    wereClientsRefused: measured.refusal !== null && (measured.refusal.option === null || measured.refusal.option === 'maxSessions'),
    isComplete: measured.isComplete,
    isInDoubt
  })
  const nodes = measured.figures?.cluster?.nodes ?? 1
  return {
    format,
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    complete: measured.isComplete,
    settings: {
      url: options.url.href,
      events: options.events,
      transport: options.transport,
      readers: options.readers,
      rate: options.rate,
      maxClients: options.maxClients,
      minutes: options.minutes,
      quick: options.quick
    },
    machine,
    serverNode: measured.figures?.node ?? null,
    outside: measured.outside,
    verdict,
    exitCode: exitCodes[verdict],
    capacity: capacity === null ? null : { eventsPerSecond: capacity, clients },
    objectives,
    limit: finding.limit,
    limitReason: finding.reason,
    knee: capacity?.atLeast === false ? kneeIn(groups) : null,
    scalability: scalabilityIn(groups),
    memory,
    noise: { ...noise, hidesCapacity: isInDoubt },
    remarks,
    advice: capacity === null || isInDoubt ? [] : advise({ steps: used, capacity, clients, rate: options.rate, objective: deciding, limit: finding.limit, memory, figures: measured.figures, maxMemoryBytes: options.maxMemoryBytes }),
    extrapolation: capacity === null || nodes < 2 ? null : { nodes, eventsPerSecond: nodes * capacity.estimate, isExtrapolated: true },
    steps: measured.steps
  }
}

function scalabilityIn (groups: ReadonlyArray<readonly Step[]>): Results['scalability'] {
  const fitOf = (steps: ReadonlyArray<readonly Step[]>) => scalabilityOf(steps.flat().map(({ offered, achieved }) => ({ load: offered, throughput: achieved })))
  const fit = fitOf(groups)
  if (fit === null) return null
  const intervalOf = (term: 'contention' | 'coherency') => bootstrap(groups, (drawn) => fitOf(drawn)?.[term] ?? null, { resamples: 100 })
  return { ...fit, contentionInterval: intervalOf('contention'), coherencyInterval: intervalOf('coherency'), peak: peakOf(fit) }
}

/** Where throughput leaves the load. Null if both lines have nearly the same slope. */
function kneeIn (groups: ReadonlyArray<readonly Step[]>): Results['knee'] {
  const at = (steps: ReadonlyArray<readonly Step[]>) => kneeOf(steps.flat().map(({ offered, achieved }) => ({ x: offered, y: achieved })))
  const knee = at(groups)
  if (knee === null || knee.behind > 0.8 * knee.before) return null
  return { ...knee, interval: groups.some(({ length }) => length > 2) ? bootstrap(groups, (drawn) => at(drawn)?.x ?? null, { resamples: 100 }) : null }
}
