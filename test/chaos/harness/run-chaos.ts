import { clientKinds, isChromiumKind, protocolOf, type ChaosClient, type ClientKind } from './chaos-client.ts'
import { ChromiumClients } from './chromium-client.ts'
import type { FaultKind } from './fault-plan.ts'
import { FaultyProxy } from './faulty-proxy.ts'
import { streamKinds, type StreamKind } from './messages.ts'
import { openNodeClient } from './node-client.ts'
import { Oracle } from '../../../plugin/entries/contract-tests.ts'
import { ServerProcess } from './server-process.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly clients: number
  /** Counted once for each session that gets it. */
  readonly updates: number
  readonly events: number
  /** Duration of sending, in milliseconds. On a busy machine it lasts longer, until `leastReturns` streams have come back. */
  readonly sendingMs: number
  readonly leastReturns: number
  /** Most bytes between two faults of a connection. */
  readonly mostBytes: number
  readonly kinds?: readonly ClientKind[]
  readonly tell?: (line: string) => void
}

export interface ChaosReport {
  /** Violations of the rules; empty for a good result. */
  readonly faults: string[]
  readonly injected: Readonly<Record<FaultKind, number>>
  readonly cuts: number
  readonly connections: number
  /** Figures by kind of client. */
  readonly byKind: Record<ClientKind, { clients: number, resumed: number, gaps: number, updates: number, streams: Record<StreamKind, number> }>
  /** Number of streams of each kind; gzip and br are the compressed ones. */
  readonly streams: Record<StreamKind, number>
  /** Blocks written to one stream, but deflated once for many. */
  readonly sharedBlocks: number
  readonly updatesSent: number
  readonly updatesSeen: number
  readonly conflated: number
  readonly dropped: number
  readonly eventsRun: number
  /** Requests repeated because their arrival was unknown. */
  readonly retries: number
  readonly busy: number
  readonly resumed: number
  readonly gaps: number
}

/** Paths of the server. The clients of each kind get them in turn. */
const paths = ['/ample', '/tight', '/lossy', '/own'] as const

const lookEveryMs = 150
const settleMs = 90_000

/** Runs clients of all kinds against a server over a bad network. */
export async function runChaos (options: ChaosOptions): Promise<ChaosReport> {
  const cleanUp: Array<() => unknown> = []
  try {
    return await run(options, cleanUp)
  } finally {
    for (const step of cleanUp.reverse()) await step()
  }
}

interface Participant {
  readonly name: string
  readonly client: ChaosClient
  readonly oracle: Oracle
  acts: number
}

async function run (options: ChaosOptions, cleanUp: Array<() => unknown>): Promise<ChaosReport> {
  const { seed, kinds = clientKinds, tell = () => {} } = options
  const server = await ServerProcess.start()
  cleanUp.push(() => server.stop())
  const proxy = new FaultyProxy(seed, options.mostBytes)
  cleanUp.push(() => proxy.close())
  const chromium = kinds.some(isChromiumKind) ? await ChromiumClients.start() : null
  if (chromium !== null) cleanUp.push(() => chromium.close())

  const participants = await Promise.all(Array.from({ length: options.clients }, async (_, index): Promise<Participant> => {
    const kind = kinds[index % kinds.length]!
    const path = paths[Math.floor(index / kinds.length) % paths.length]!
    const protocol = protocolOf(kind)
    const url = `${protocol === 'h2' ? 'https' : 'http'}://127.0.0.1:${await proxy.listen(index, server.ports[protocol])}${path}`
    const client = isChromiumKind(kind) ? await chromium!.open(kind, url, seed + index) : openNodeClient(kind, url, seed + index, server.cert)
    cleanUp.push(() => client.close())
    return { name: `${index} ${kind} ${path}`, client, oracle: new Oracle(), acts: 0 }
  }))
  tell(`${participants.length} clients are open`)
  const joinBy = performance.now() + settleMs
  for (;;) {
    await look(participants)
    const joined = Object.keys((await server.report()).sessions).length
    if (joined === participants.length) break
    if (performance.now() > joinBy) throw new Error(`${joined} of ${participants.length} clients joined within ${settleMs / 1_000} s`)
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }

  proxy.armed = true
  server.send(options.updates, options.sendingMs, seed)
  const startedAt = performance.now()
  let report = await server.report()
  for (let toldAt = startedAt; ;) {
    const share = Math.min(1, (performance.now() - startedAt) / options.sendingMs)
    await Promise.all(participants.map(async (participant, index) => {
      const due = Math.floor(share * (options.events / participants.length + (index < options.events % participants.length ? 1 : 0)))
      const count = due - participant.acts
      participant.acts = due
      if (count > 0) await participant.client.act(count)
    }))
    await look(participants)
    report = await server.report()
    if (performance.now() - toldAt > 10_000) {
      toldAt = performance.now()
      tell(`${report.updates} updates, ${proxy.cuts} cuts`)
    }
    if (report.isDone && share === 1) {
      const returns = sum(participants.map(({ oracle }) => oracle.resumed + oracle.gaps))
      if (returns >= options.leastReturns) break
      if (performance.now() - startedAt > options.sendingMs + settleMs) throw new Error(`only ${returns} of ${options.leastReturns} streams came back`)
      // Streams break after a number of bytes, so more updates must flow.
      server.send(Math.ceil(options.updates / 10), options.sendingMs / 10, seed + report.updates)
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
  proxy.armed = false
  tell('everything is sent; waiting for the last of it to arrive')

  // The code below names each update that is still missing after that.
  const deadline = performance.now() + settleMs
  let settled = false
  while (!settled && performance.now() < deadline) {
    await look(participants)
    report = await server.report()
    const uplinks = await Promise.all(participants.map(({ client }) => client.uplink()))
    settled = uplinks.every(({ unacknowledged }) => unacknowledged === 0) && participants.every(({ oracle, acts }) => {
      const truth = report.sessions[oracle.session ?? '']
      return truth !== undefined && truth.ran === acts && oracle.hasAll(truth)
    })
    if (!settled) await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }

  const faults: string[] = settled ? [] : [`not everything had arrived after ${settleMs / 1_000} s`]
  faults.push(...report.complaints.map((complaint) => `server: ${complaint}`))
  let retries = 0
  let busy = 0
  for (const { name, client, oracle, acts } of participants) {
    oracle.finish(report.sessions[oracle.session ?? ''], acts)
    const { stats } = await client.uplink()
    retries += stats.retries
    busy += stats.busy
    faults.push(...[...oracle.faults, ...stats.faults].map((fault) => `client ${name}: ${fault}`))
  }
  const byKind = Object.fromEntries(kinds.map((kind) => {
    const of = participants.filter(({ client }) => client.kind === kind).map(({ oracle }) => oracle)
    return [kind, {
      clients: of.length,
      resumed: sum(of.map(({ resumed }) => resumed)),
      gaps: sum(of.map(({ gaps }) => gaps)),
      updates: sum(of.map(({ updates }) => updates)),
      streams: sumStreams(of.map(({ session }) => report.streams[session ?? '']))
    }]
  })) as ChaosReport['byKind']
  const totals = Object.values(byKind)
  return {
    faults,
    injected: proxy.counts,
    cuts: proxy.cuts,
    connections: proxy.connections,
    byKind,
    streams: sumStreams(totals.map(({ streams }) => streams)),
    sharedBlocks: report.sharedBlocks,
    updatesSent: report.updates,
    updatesSeen: sum(totals.map(({ updates }) => updates)),
    conflated: report.conflated,
    dropped: report.dropped,
    eventsRun: sum(Object.values(report.sessions).map(({ ran }) => ran)),
    retries,
    busy,
    resumed: sum(totals.map(({ resumed }) => resumed)),
    gaps: sum(totals.map(({ gaps }) => gaps))
  }
}

/** Shows every oracle the new observations of its client. */
async function look (participants: Participant[]): Promise<void> {
  await Promise.all(participants.map(async ({ client, oracle }) => {
    for (const observation of await client.take()) oracle.observe(observation)
  }))
}

function sumStreams (streams: Array<Record<StreamKind, number> | undefined>): Record<StreamKind, number> {
  return Object.fromEntries(streamKinds.map((kind) => [kind, sum(streams.map((of) => of?.[kind] ?? 0))])) as Record<StreamKind, number>
}

function sum (numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
