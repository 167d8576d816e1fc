// The progress of a long job. Start it with: npm run example examples/job-progress.ts
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { conflate, defineContract, type Session } from 'fastify-tether'

export const contract = defineContract({
  events: { start: Type.Object({ rows: Type.Integer({ minimum: 1, maximum: 10_000 }) }) },
  updates: { progress: conflate(Type.Object({ done: Type.Integer() })), finished: Type.Object({}) } // a slow page skips to the newest progress
})

async function importRows (session: Session<undefined, typeof contract.updates>, rows: number): Promise<void> {
  for (let done = 1; done <= rows; done++) {
    await sleep(5) // the work on one row
    if (session.signal.aborted) return // the session has ended
    session.send('progress', { done })
  }
  session.send('finished', {})
}

const app = Fastify()
await app.register(fastifyStatic, { root: dirname(fileURLToPath(import.meta.resolve('fastify-tether/client'))), prefix: '/client/' })
await app.register(tether)
// The handler does not wait for the job: other events get their turn.
app.tether.stateful('/live', { contract, on: { start: (session, { rows }) => { importRows(session, rows) } } })

app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Progress</title>
<button>Import 1,000 rows</button> <progress max="1000" value="0" aria-label="Rows"></progress> <output></output>
<script type="module">
  import { connect } from '/client/index.js'
  const [live, button, bar, output] = [connect('/live'), ...['button', 'progress', 'output'].map((name) => document.querySelector(name))]
  button.onclick = () => { button.disabled = true; live.emit('start', { rows: bar.max }) }
  live.on('progress', ({ done }) => { bar.value = done; output.value = done + ' rows' })
  live.on('finished', () => { button.disabled = false; output.value = 'All rows are in' })
</script>`))

console.log(`The job is at ${await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })}`)
