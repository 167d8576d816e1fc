// npm run chaos -- [--seed n] [--clients n] [--updates n] [--events n] [--minutes n] [--kinds a,b]
// npm run chaos -- --nodes n [--engine redis|local|nats] [--persist command|event] [--seed n] [--clients n] [--updates n] [--events n] [--minutes n]
import { parseArgs } from 'node:util'
import { clientKinds, type ClientKind } from './harness/chaos-client.ts'
import { runChaos } from './harness/run-chaos.ts'
import { engineKinds, type EngineKind } from './nodes/engines.ts'
import { persistModes, type Persist } from './nodes/messages.ts'
import { runNodes } from './nodes/run-nodes.ts'

// With nothing left to do, Node 20 may still wait for ever for a write to a connection that broke.
process.once('beforeExit', () => process.exit())

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    clients: { type: 'string' },
    updates: { type: 'string', default: '200000' },
    events: { type: 'string', default: '20000' },
    minutes: { type: 'string', default: '2' },
    kinds: { type: 'string', default: clientKinds.join() },
    nodes: { type: 'string' },
    engine: { type: 'string' },
    persist: { type: 'string' }
  }
})
values.clients ??= values.nodes === undefined ? '50' : '20'

function numberOf (name: 'clients' | 'updates' | 'events' | 'minutes' | 'nodes'): number {
  const number = Number(values[name])
  if (!(number > 0)) throw new Error(`--${name} takes a number above 0, got ${values[name]}`)
  return number
}

const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
const tell = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`)
if (values.nodes === undefined && (values.engine ?? values.persist) !== undefined) throw new Error('--engine and --persist take --nodes beside them')
if (values.nodes === undefined) await overBadNetwork()
else await overNodes()

async function overNodes (): Promise<void> {
  const engine = (values.engine ?? 'redis') as EngineKind
  const [nodes, clients, updates, events, minutes] = (['nodes', 'clients', 'updates', 'events', 'minutes'] as const).map(numberOf) as [number, number, number, number, number]
  const persist = values.persist as Persist | undefined
  if (persist !== undefined && !persistModes.includes(persist)) throw new Error(`--persist takes ${persistModes.join()}, got ${persist}`)
  if (!engineKinds.includes(engine)) throw new Error(`--engine takes ${engineKinds.join()}, got ${engine}`)
  if (!(Number.isInteger(nodes) && nodes >= 2 && nodes <= 16)) throw new Error(`--nodes takes a whole number from 2 to 16, got ${values.nodes}`)
  console.log(`seed ${seed}; to repeat it: npm run chaos -- --seed ${seed} --nodes ${nodes} --engine ${engine}${persist === undefined ? '' : ` --persist ${persist}`} --clients ${clients} --updates ${updates} --events ${events} --minutes ${minutes}`)
  // Each node is replaced about twice a minute.
  const replacements = Math.ceil(nodes * Math.max(1, 2 * minutes))
  const report = await runNodes({
    seed,
    engine,
    persist,
    nodes,
    events,
    replacements,
    pages: clients,
    // Each reaches half of the pages.
    broadcasts: Math.ceil(updates / (clients / 2)),
    kills: Math.ceil(replacements / 3),
    cuts: Math.ceil(60 * minutes),
    sendingMs: minutes * 60_000,
    tell
  })
  console.dir(report, { maxArrayLength: 50 })
  if (report.faults.length > 0) process.exitCode = 1
  else console.log('nothing lost without a word, nothing twice, nothing out of the order of the log')
}

async function overBadNetwork (): Promise<void> {
  const kinds = values.kinds.split(',') as ClientKind[]
  for (const kind of kinds) {
    if (!clientKinds.includes(kind)) throw new Error(`--kinds takes ${clientKinds.join()}, got ${kind}`)
  }

  console.log(`seed ${seed}; to repeat it: npm run chaos -- --seed ${seed} and the same other options`)
  const report = await runChaos({
    seed,
    kinds,
    clients: numberOf('clients'),
    updates: numberOf('updates'),
    events: numberOf('events'),
    sendingMs: numberOf('minutes') * 60_000,
    leastReturns: Math.min(10 * numberOf('clients'), Math.ceil(numberOf('updates') / 100)),
    mostBytes: 60_000,
    tell: (line) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`)
  })
  console.dir(report, { depth: 4 })
  const { websocket, gzip, br } = report.streams
  console.log(`${gzip + br} streams were compressed, ${websocket} were WebSockets`)
  const isVacuous = kinds.length === clientKinds.length && (gzip === 0 || br === 0 || websocket === 0 || report.sharedBlocks === 0)
  if (isVacuous) console.log('a kind of stream is missing: the run says nothing of it')
  if (report.faults.length > 0 || isVacuous) process.exitCode = 1
  else console.log('nothing lost, nothing twice, nothing out of order, every gap told')
}
