import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from '../harness/random.ts'
import { Balancer } from './balancer.ts'
import { BarePage } from './bare-page.ts'
import { startMeeting, type EngineKind } from './engines.ts'
import { judge, type NodesTruth, type Verdict } from './log-oracle.ts'
import { LogWatch } from './log-watch.ts'
import { refOf, urls, type DiaryLine, type Persist, type SessionTruth, type Url } from './messages.ts'
import { buildNode, NodeProcess } from './node-process.ts'
import { isTether, pageKinds, type Page } from './page.ts'
import { TetherPage } from './tether-page.ts'

export interface NodesOptions {
  readonly seed: number
  readonly engine: EngineKind
  /** What the sessions survive; absent: what is usual for each endpoint. Pages that do not send events again take part with `'event'` alone. */
  readonly persist?: Persist | undefined
  readonly nodes: number
  readonly pages: number
  /** Broadcasts of the whole run, about. */
  readonly broadcasts: number
  readonly events: number
  /** Nodes replaced as in a deploy: a new one starts, then the old one drains. */
  readonly replacements: number
  /** Nodes killed, each then replaced. */
  readonly kills: number
  /** Streams cut, whose pages then come back to any node. */
  readonly cuts: number
  /** Duration of sending, in milliseconds. It lasts longer until all nodes are replaced. */
  readonly sendingMs: number
  readonly tell?: (line: string) => void
}

export interface NodesReport {
  /** Violations of the rules; empty for a good result. */
  readonly faults: string[]
  readonly replaced: number
  readonly killed: number
  /** Nodes that lost their lease, and so perhaps their sessions. */
  readonly isolated: number
  readonly broadcasts: number
  readonly updatesSeen: number
  readonly eventsRun: number
  readonly resumed: number
  readonly gaps: number
  /** Sessions lost with a killed node, and events that were told in doubt then. */
  readonly lost: number
  readonly doubts: number
  /** Sessions that were taken from the memory of another node, and out of the engine. */
  readonly moved: number
  readonly frozen: number
  readonly requests: number
  /** Streams that pages opened, by how. */
  readonly streams: Readonly<Balancer['opened']>
  readonly nodesUsed: number
  readonly repeats: number
}

const joinMs = 60_000
const settleMs = 60_000
const lookEveryMs = 50

/** Runs pages against nodes in processes of their own, behind a balancer, while nodes are replaced and killed. */
export async function runNodes (options: NodesOptions): Promise<NodesReport> {
  const ends: Array<() => unknown> = []
  try {
    return await run(options, (end) => { ends.push(end) })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

interface Participant {
  readonly page: Page
  readonly index: number
  readonly url: Url
  acts: number
}

async function run (options: NodesOptions, after: (end: () => unknown) => void): Promise<NodesReport> {
  const { seed, tell = () => {} } = options
  const random = new Random(seed)
  const directory = mkdtempSync(join(tmpdir(), 'tether-chaos-'))
  after(() => { rmSync(directory, { recursive: true, force: true }) })
  const meeting = await startMeeting(options.engine, directory, after)
  const program = await buildNode(directory)
  const started: NodeProcess[] = []
  const spawn = () => {
    const node = new NodeProcess(program, meeting, join(directory, `diary-${started.length}`), options.persist)
    started.push(node)
    return node
  }
  after(() => Promise.all(started.map((node) => node.end())))
  let nodes = Array.from({ length: options.nodes }, spawn)
  // Its process is there already when a node is to be replaced.
  let spare = spawn()
  await Promise.all(nodes.map((node) => node.start()))
  const nodesBy = performance.now() + joinMs
  await untilTrue(async () => (await Promise.all(nodes.map((node) => node.call('nodes')))).every((count) => count === nodes.length), nodesBy, 'all nodes know each other')
  const watch = await LogWatch.open(meeting)
  after(() => watch.close())
  const balancer = await Balancer.start(new Random(seed, 1))
  after(() => balancer.close())
  const balance = () => { balancer.targets = nodes.map(({ ports }) => ports) }
  balance()

  const kinds = options.persist === 'command' ? pageKinds.filter(isTether) : pageKinds
  const participants = Array.from({ length: options.pages }, (_, index): Participant => {
    const kind = kinds[index % kinds.length]!
    const url = urls[Math.floor(index / kinds.length) % urls.length]!
    const page = isTether(kind) ? new TetherPage(kind, balancer.originFor(kind) + url, index) : new BarePage(balancer.originFor(kind) + url, index)
    after(() => { page.close() })
    return { page, index, url, acts: 0 }
  })
  await untilTrue(() => participants.every(({ page }) => page.seen.some(({ is }) => is === 'snapshot')), performance.now() + joinMs, 'all pages have a session')
  tell(`${nodes.length} nodes, ${participants.length} pages`)

  const startedAt = performance.now()
  const shareOf = () => Math.min(1, (performance.now() - startedAt) / options.sendingMs)
  const rate = 1_000 / options.sendingMs / options.nodes
  const load = (node: NodeProcess) => node.call('load', { seed: random.integer(0, 2 ** 30), broadcastsPerSecond: options.broadcasts * rate, sendsPerSecond: options.events * rate, seconds: Math.max(0.5, options.sendingMs * (1 - shareOf()) / 1_000) })
  await Promise.all(nodes.map(load))
  const acting = { isOn: true }
  let cuts = 0
  const events = (async () => {
    while (acting.isOn) {
      const share = shareOf()
      for (const participant of participants) {
        const due = Math.floor(share * (options.events / participants.length + (participant.index < options.events % participants.length ? 1 : 0)))
        participant.page.act(due - participant.acts)
        participant.acts = due
      }
      for (; cuts < Math.floor(share * options.cuts); cuts++) balancer.cut()
      acting.isOn &&= share < 1
      await new Promise((resolve) => { setTimeout(resolve, 20) })
    }
  })()
  after(() => { acting.isOn = false })

  const steps = shuffled([...new Array<'replace'>(options.replacements).fill('replace'), ...new Array<'kill'>(options.kills).fill('kill')], random)
  let [replaced, killed] = [0, 0]
  for (const [index, step] of steps.entries()) {
    const dueAt = startedAt + options.sendingMs * (index + 0.2 + 0.6 * random.next()) / (steps.length + 0.5)
    await new Promise((resolve) => { setTimeout(resolve, Math.max(0, dueAt - performance.now())) })
    await watch.giveWay()
    // In turn, as a deploy does; the one that dies is any of them.
    const old = step === 'replace' ? nodes[0]! : random.pick(nodes)
    const others = nodes.filter((node) => node !== old)
    const fresh = spare
    const restart = async () => {
      nodes = [...others, await fresh.start()]
      balance()
      await load(fresh)
    }
    if (step === 'kill') {
      await old.kill()
      killed++
      // The balancer learns of it at once, or not before the next node is there.
      if (random.chance(0.5)) balancer.targets = others.map(({ ports }) => ports)
      await restart()
    } else {
      // The balancer learns of it before the drain, or after it.
      const learnsLate = random.chance(0.3)
      await restart()
      if (learnsLate) balancer.targets = [...balancer.targets, old.ports]
      await old.call('close')
      balance()
      replaced++
    }
    if (index < steps.length - 1) spare = spawn()
    tell(`${step === 'kill' ? 'killed' : 'replaced'} a node; ${sum(participants.map(({ page }) => page.seen.length))} updates seen`)
  }
  await events
  await Promise.all(nodes.map((node) => node.call('stop')))
  tell('everything is sent; waiting for the last of it to arrive')

  let verdicts: Verdict[] = []
  let report = await tellings(started, nodes)
  const settleBy = performance.now() + settleMs
  for (let isSettled = false; !isSettled;) {
    const lookedAt = performance.now()
    report = await tellings(started, nodes)
    verdicts = participants.map(({ page, index, url, acts }) => judge(page.seen, page.outcomes, acts, { ...report, log: watch.logs.get(url)!, survives: options.persist !== undefined, timesRun: (k) => report.ran.get(`${index} ${k}`) ?? 0 }))
    isSettled = verdicts.every(({ isComplete }) => isComplete) || performance.now() > settleBy
    // To judge a long run takes a while, in which nothing else happens here.
    if (!isSettled) await new Promise((resolve) => { setTimeout(resolve, 2 * lookEveryMs + 2 * (performance.now() - lookedAt)) })
  }
  const faults: string[] = []
  if (verdicts.some(({ isComplete }) => !isComplete)) for (const status of report.statuses) tell(status)
  for (const { page, index, url } of participants) {
    if (!verdicts[index]!.isComplete && page.session !== null) {
      // Where it is, and what it got last.
      const held = report.held(refOf(page.session)).map(({ node, connected, stats }) => `node ${node}, ${connected ? 'connected' : 'without a stream'}, ${stats}`)
      tell(`page ${index} is not complete; ${held.join('; ') || 'no node has its session'}; the last it saw: ${JSON.stringify(page.seen.slice(-4))}`)
    }
    faults.push(...[...verdicts[index]!.faults, ...page.faults].map((fault) => `page ${index} ${page.kind} ${url}: ${fault}`))
  }
  faults.push(...watch.faults.map((fault) => `log: ${fault}`), ...report.faults.map((fault) => `node: ${fault}`))
  const total = (figure: (verdict: Verdict) => number) => sum(verdicts.map(figure))
  return {
    faults,
    replaced,
    killed,
    isolated: report.isolated,
    broadcasts: sum([...watch.logs.values()].map(({ length }) => length)),
    updatesSeen: total(({ updates }) => updates),
    eventsRun: sum([...report.ran.values()]),
    resumed: total(({ resumed }) => resumed),
    gaps: total(({ gaps }) => gaps),
    lost: total(({ lost }) => lost),
    doubts: total(({ doubts }) => doubts),
    moved: report.moved,
    frozen: report.frozen,
    requests: sum([...balancer.requests.values()]),
    streams: balancer.opened,
    nodesUsed: balancer.requests.size,
    repeats: balancer.repeats
  }
}

/** What all nodes wrote down, the dead ones too, and what the living ones have in memory. */
async function tellings (started: readonly NodeProcess[], nodes: readonly NodeProcess[]): Promise<Pick<NodesTruth, 'sessions' | 'mayBeLost'> & { ran: Map<string, number>, faults: string[], statuses: string[], held: (ref: string) => Array<SessionTruth & { node: number }>, moved: number, frozen: number, isolated: number }> {
  const truths = await Promise.all(nodes.map((node) => node.call('truth')))
  const sessions = new Map(truths.flatMap(({ sessions }) => Object.entries(sessions) as Array<[string, SessionTruth]>))
  const faults = truths.flatMap(({ complaints }) => complaints)
  const ran = new Map<string, number>()
  const owners = new Map<string, { at: number, node: NodeProcess }>()
  const claims = new Map<string, Array<{ at: number, node: NodeProcess }>>()
  const isolated = new Set<NodeProcess>()
  let [moved, frozen] = [0, 0]
  for (const node of started) {
    for (const line of linesOf(node.diary)) {
      if (line.is === 'ran') ran.set(`${line.page} ${line.k}`, (ran.get(`${line.page} ${line.k}`) ?? 0) + 1)
      else if (line.is === 'fault') faults.push(line.what)
      else if (line.is === 'isolated') isolated.add(node)
      else if (line.is === 'claims') claims.set(line.ref, [...claims.get(line.ref) ?? [], { at: line.at, node }])
      else {
        if (line.from === 'moved') moved++
        if (line.from === 'frozen' || line.from === 'crashed') frozen++
        if ((owners.get(line.ref)?.at ?? 0) < line.at) owners.set(line.ref, { at: line.at, node })
      }
    }
  }
  const mayBeLost = (ref: string) => {
    const owner = owners.get(ref)
    if (owner === undefined) return false
    // The last one that had it, and those to which it may have been on its way since.
    const last = [owner, ...(claims.get(ref) ?? []).filter(({ at }) => at >= owner.at)]
    return last.some(({ node }) => node.wasKilled || isolated.has(node))
  }
  const held = (ref: string) => truths.flatMap(({ sessions }, index) => {
    const found = sessions[ref]
    return found === undefined ? [] : [{ ...found, node: started.indexOf(nodes[index]!) }]
  })
  const statuses = truths.map(({ status }, index) => `node ${started.indexOf(nodes[index]!)}: ${status}`)
  return { sessions, ran, faults, statuses, held, moved, frozen, isolated: isolated.size, mayBeLost }
}

function linesOf (diary: string): DiaryLine[] {
  let text: string
  try {
    text = readFileSync(diary, 'utf8')
  } catch {
    return []
  }
  // The last line of a killed node may be a part of one.
  return text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as DiaryLine)
}

async function untilTrue (isTrue: () => boolean | Promise<boolean>, by: number, what: string): Promise<void> {
  while (!await isTrue()) {
    if (performance.now() > by) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => { setTimeout(resolve, lookEveryMs) })
  }
}

function shuffled<Item> (items: Item[], random: Random): Item[] {
  return items.map((item) => ({ item, at: random.next() })).sort((left, right) => left.at - right.at).map(({ item }) => item)
}

function sum (numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
