// Who has the page open. Start it with: npm run example examples/presence.ts
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { conflate, defineContract } from 'fastify-tether'

export const contract = defineContract({
  events: { rename: Type.Object({ name: Type.String({ minLength: 1, maxLength: 30 }) }) },
  updates: { online: conflate(Type.Array(Type.String())) } // only the newest list is of use
})

const app = Fastify()
await app.register(fastifyStatic, { root: dirname(fileURLToPath(import.meta.resolve('fastify-tether/client'))), prefix: '/client/' })
await app.register(tether)

let guests = 0
const live = app.tether.stateful('/live', {
  contract,
  initialState: () => ({ name: `Guest ${++guests}` }),
  on: { rename: (session, { name }) => { session.state.name = name; tellAll() } },
  onConnect: tellAll,
  onDisconnect: tellAll // at once; the session itself is kept for a while, and may come back
})

function tellAll (): void {
  live.broadcast('online', [...live.sessions].filter(({ connected }) => connected).map(({ state }) => state.name))
}

app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Presence</title>
<label>Your name <input maxlength="30"></label> <ul></ul>
<script type="module">
  import { connect } from '/client/index.js'
  const live = connect('/live')
  document.querySelector('input').onchange = ({ target }) => live.emit('rename', { name: target.value })
  live.on('online', (names) => document.querySelector('ul').replaceChildren(...names.map((name) => Object.assign(document.createElement('li'), { textContent: name }))))
</script>`))

console.log(`Presence is at ${await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })}`)
