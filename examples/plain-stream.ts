// A stream without a session: an answer, word by word. Start it with: npm run example examples/plain-stream.ts
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import tether from 'fastify-tether'

const answer = 'Server-sent events are lines of text in an answer that does not end. A browser reads them as they come, ' +
  'and asks again where it stopped when the line breaks. Each word here is an event, and its number is the id.'
const words = answer.split(' ')

const app = Fastify()
await app.register(tether)
const upgrade = app.tether.sse.upgrade({ retryMs: 500 })

app.get('/answer', async (request, reply) => {
  const stream = await upgrade(request, reply)
  const known = Number(stream.lastEventId ?? 0) // after a reconnect the browser sends the last id that it has seen
  for (const [index, word] of words.entries()) {
    if (index < known) continue
    if (!await stream.send({ id: String(index + 1), data: word })) return // false: the reader has gone
    await sleep(60)
  }
  await stream.send({ event: 'end', data: 'done' })
  await stream.close()
})

app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>An answer</title>
<p></p>
<script type="module">
  const source = new EventSource('/answer')
  source.onmessage = ({ data }) => document.querySelector('p').append(data + ' ')
  source.addEventListener('end', () => source.close()) // otherwise the browser would reconnect
</script>`))

console.log(`The answer is at ${await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })}`)
