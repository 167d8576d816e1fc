// A chat between all who have the page open. Start it with: npm run example examples/chat.ts
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { defineContract } from 'fastify-tether'

export const contract = defineContract({
  events: { say: Type.Object({ text: Type.String({ minLength: 1, maxLength: 200 }) }) },
  updates: { said: Type.Object({ from: Type.String(), text: Type.String() }) }
})

const app = Fastify()
await app.register(fastifyStatic, { root: dirname(fileURLToPath(import.meta.resolve('fastify-tether/client'))), prefix: '/client/' })
await app.register(tether)

let guests = 0
app.tether.stateful('/live', {
  contract,
  initialState: () => ({ name: `Guest ${++guests}` }), // the state of one tab; it outlives a lost connection
  on: { say: (session, { text }, { live }) => live.broadcast('said', { from: session.state.name, text }) }
})

app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Chat</title>
<form><input name="text" aria-label="Message" maxlength="200" required autofocus autocomplete="off"> <button>Say</button></form>
<ul></ul>
<script type="module">
  import { connect } from '/client/index.js'
  const live = connect('/live')
  const form = document.querySelector('form')
  live.on('said', ({ from, text }) => document.querySelector('ul').appendChild(document.createElement('li')).append(from + ': ' + text))
  form.onsubmit = (event) => { event.preventDefault(); live.emit('say', { text: form.text.value }); form.reset() }
</script>`))

console.log(`The chat is at ${await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })}`)
