// A table whose rows change faster than anybody reads. Start it with: npm run example examples/table.ts
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { conflate, defineContract } from 'fastify-tether'

export const contract = defineContract({
  updates: { row: conflate(Type.Object({ host: Type.String(), load: Type.Integer(), changes: Type.Integer() }), (row) => row.host) }
})

const app = Fastify()
await app.register(fastifyStatic, { root: dirname(fileURLToPath(import.meta.resolve('fastify-tether/client'))), prefix: '/client/' })
await app.register(tether)

const rows = ['alder', 'birch', 'cedar', 'elm', 'fir', 'hazel', 'larch', 'maple'].map((host) => ({ host, load: 50, changes: 0 }))
const live = app.tether.stateful('/live', {
  contract,
  minIntervalMs: 100, // at most ten writes a second; of each row only the newest waits
  onConnect: (session, { verdict }) => { if (verdict !== 'resumed') for (const row of rows) session.send('row', row) }
})

setInterval(() => {
  const row = rows[Math.floor(Math.random() * rows.length)]!
  Object.assign(row, { load: Math.max(0, Math.min(100, row.load + Math.round(Math.random() * 10 - 5))), changes: row.changes + 1 })
  live.broadcast('row', row)
}, 2)

app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Load</title>
<table><thead><tr><th>Host<th>Load %<th>Changes<tbody></table>
<script type="module">
  import { connect } from '/client/index.js'
  const find = (host) => document.getElementById(host) ?? Object.assign(document.querySelector('tbody').insertRow(), { id: host, innerHTML: '<td><td><td>' })
  connect('/live').on('row', ({ host, load, changes }) => [host, load, changes].forEach((value, column) => { find(host).cells[column].textContent = value }))
</script>`))
console.log(`The table is at ${await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })}`)
