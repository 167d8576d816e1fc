// npm run chaos -- [--seed n] [--clients n] [--updates n] [--events n] [--minutes n] [--kinds a,b]
import { parseArgs } from 'node:util'
import { clientKinds, type ClientKind } from './harness/chaos-client.ts'
import { runChaos } from './harness/run-chaos.ts'

// With nothing left to do, Node 20 may still wait for ever for a write to a connection that broke.
process.once('beforeExit', () => process.exit())

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    clients: { type: 'string', default: '50' },
    updates: { type: 'string', default: '200000' },
    events: { type: 'string', default: '20000' },
    minutes: { type: 'string', default: '2' },
    kinds: { type: 'string', default: clientKinds.join() }
  }
})

function numberOf (name: 'clients' | 'updates' | 'events' | 'minutes'): number {
  const number = Number(values[name])
  if (!(number > 0)) throw new Error(`--${name} takes a number above 0, got ${values[name]}`)
  return number
}

const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
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
