import { createRequire } from 'node:module'
import t from 'tap'
import { startLive } from './harness/live.ts'
import { startServer } from './harness/server.ts'
import { until } from './harness/until.ts'

interface Source {
  addEventListener: (type: string, listener: (event: { data: string }) => void) => void
  close: () => void
}

// It takes whatever is global for a browser's, and fetch will do.
const { EventSourcePolyfill } = createRequire(import.meta.url)('event-source-polyfill') as { EventSourcePolyfill: new (url: string, options?: object) => Source }

// It tells of each lost connection on the console.
const { error } = console
console.error = () => {}
t.teardown(() => { console.error = error })

t.test('event-source-polyfill resumes its session', async (t) => {
  const verdicts: string[] = []
  const server = await startLive(t, { upgrade: { retryMs: 10 }, live: { onConnect: (_session, { verdict }) => { verdicts.push(verdict) } } })
  const source = new EventSourcePolyfill(`${server.origin}/live`)
  t.teardown(() => { source.close() })
  const notes: string[] = []
  source.addEventListener('note', ({ data }) => { notes.push(data) })
  const session = await until(() => [...server.live.sessions][0], 'the session')
  await until(() => verdicts.length === 1, 'the first stream')
  for (const text of ['one', 'two']) {
    session.send('note', { text })
    await until(() => notes.includes(JSON.stringify({ text })), text)
    const { length } = verdicts
    server.app.server.closeAllConnections()
    await until(() => verdicts.length > length, 'it to come back')
  }
  session.send('note', { text: 'three' })
  await until(() => notes.length >= 3, 'the last update')
  t.same(notes.map((note) => JSON.parse(note).text), ['one', 'two', 'three'])
  t.same(verdicts, ['new', 'resumed', 'resumed'])
  t.equal(server.app.tether.stats().sessions, 1)
})

t.test('event-source-polyfill tells a plain route what it has', async (t) => {
  const seen: Array<string | null> = []
  const server = await startServer(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade({ retryMs: 10 })
      app.get('/', async (request, reply) => {
        const transport = await upgrade(request, reply)
        seen.push(transport.lastEventId)
        await transport.send({ id: `Größe ${seen.length}`, data: 'x' })
        if (seen.length < 3) await transport.close()
      })
    }
  })
  const source = new EventSourcePolyfill(`${server.origin}/?page=1`)
  t.teardown(() => { source.close() })
  await until(() => seen.length === 3, 'two reconnects')
  t.same(seen, [null, 'Größe 1', 'Größe 2'])
})
