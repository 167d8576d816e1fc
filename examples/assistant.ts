// A chat whose answers come word by word, outlive a cut line, and can be stopped. Start it with: npm run example examples/assistant.ts
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { defineContract, text, type Session } from 'fastify-tether'
export const contract = defineContract({
  events: { ask: Type.Object({ question: Type.String({ minLength: 1, maxLength: 500 }) }), stop: Type.Object({}) },
  updates: { answer: text(), token: text(), ended: text() } // the answer so far, what comes next, and how it ended
})
async function * model (question: string, signal: AbortSignal) { // your model: anything that gives tokens and ends at the signal
  for (const word of `You asked: ${question} ${'A model would think about that. '.repeat(10)}`.match(/\S+\s*/g)!) yield await sleep(60, word, { signal })
}
async function answer (session: Session<{ answer: string, stop: AbortController }, typeof contract.updates>, question: string): Promise<void> {
  session.state.stop.abort() // one answer at a time
  const { signal } = session.state.stop = new AbortController()
  session.send('answer', session.state.answer = '')
  try {
    for await (const token of model(question, signal)) { session.state.answer += token; await session.send('token', token) } // also while the line is cut
    session.send('ended', 'done')
  } catch { if (session.state.stop.signal === signal) session.send('ended', signal.aborted ? 'stopped' : 'failed') }
}
const app = Fastify()
await app.register(fastifyStatic, { root: dirname(fileURLToPath(import.meta.resolve('fastify-tether/client'))), prefix: '/client/' })
await app.register(tether)
app.tether.stateful('/live', {
  contract,
  initialState: () => ({ answer: '', stop: new AbortController() }),
  onConnect: (session, { verdict }) => { if (verdict !== 'resumed') session.send('answer', session.state.answer) }, // after a gap: all of it
  onClose: ({ state }) => state.stop.abort(), // the page has not come back
  on: { ask: (session, { question }) => { answer(session, question) }, stop: ({ state }) => state.stop.abort() } // no handler waits for the answer
})
app.get('/', async (request, reply) => reply.type('text/html; charset=utf-8').send(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Assistant</title>
<form><input name="question" aria-label="Question" maxlength="500" required autofocus autocomplete="off"> <button>Ask</button> <button type="button" name="stop">Stop</button></form><p></p><output></output><script type="module">
  import { connect } from '/client/index.js'; const live = connect('/live'), form = document.querySelector('form'), [answer, how] = document.querySelectorAll('p, output')
  live.on('answer', (text) => { answer.textContent = text; how.value = '' }); live.on('token', (text) => answer.append(text)); live.on('ended', (text) => { how.value = text })
  form.onsubmit = (event) => { event.preventDefault(); live.emit('ask', { question: form.question.value }); form.reset() }; form.stop.onclick = () => live.emit('stop')</script>`))
console.log(`The assistant is at ${await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })}`)
