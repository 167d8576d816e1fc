import { once } from 'node:events'
import t from 'tap'
import { connect, type ConnectOptions, type ConnectionState, type StateDetail } from '../../client/index.ts'
import { until } from '../e2e/harness/until.ts'
import { connectLive } from './harness.ts'
import { hello, open, startStreams } from './stream-server.ts'

function watch (t: Parameters<typeof startStreams>[0], url: string, options: ConnectOptions = {}) {
  const client = connect(url, { retryMs: 5, retryMaxMs: 10, ...options })
  t.teardown(() => client.close())
  const states: Array<[ConnectionState, StateDetail]> = []
  client.onState((state, detail) => states.push([state, detail]))
  return { client, states }
}

t.test('works where there is neither TextDecoderStream nor AbortSignal.timeout', async (t) => {
  const { TextDecoderStream } = globalThis
  const { timeout } = AbortSignal
  delete (globalThis as { TextDecoderStream?: unknown }).TextDecoderStream
  delete (AbortSignal as { timeout?: unknown }).timeout
  t.teardown(() => {
    Object.assign(globalThis, { TextDecoderStream })
    Object.assign(AbortSignal, { timeout })
  })
  const { client, session } = await connectLive(t)
  const note = client.once('note')
  const live = await session()
  live.send('note', { text: 'späße 🎈' })
  t.strictSame(await note, { text: 'späße 🎈' })
  await client.emit('ping')
})

t.test('characters, a byte order mark and line ends may be cut anywhere', async (t) => {
  for (const end of ['\n', '\r', '\r\n']) {
    const text = `\uFEFF${hello().replaceAll('\n', end)}event: note${end}data: "ä€🎈"${end}${end}`
    const bytes = Buffer.from(text)
    const server = await startStreams(t, async (response) => {
      open(response, bytes.subarray(0, 1))
      for (const byte of bytes.subarray(1)) await new Promise((resolve) => response.write(Buffer.of(byte), resolve))
    })
    const { client } = watch(t, server.url)
    t.equal(await client.once('note'), 'ä€🎈', `with ${JSON.stringify(end)}, and nothing behind it`)
    client.close()
  }
})

t.test('a GET asks for an event stream, and only a POST says what it brings', async (t) => {
  const server = await startStreams(t, (response, method) => {
    if (method === 'GET') open(response)
    else response.writeHead(202).end('{"seq":1}')
  })
  const { client } = watch(t, server.url)
  await client.emit('ping')
  const [get, post] = server.asked
  t.equal(get!.headers.accept, 'text/event-stream')
  t.equal(get!.headers['content-type'], undefined)
  t.equal(post!.headers['content-type'], 'application/json')
  t.not(post!.headers.accept, 'text/event-stream')
})

t.test('an update that never ends is given up, and tried again', async (t) => {
  const kilobyte = 'x'.repeat(1_000)
  for (const [what, piece] of [['a line', kilobyte], ['a comment', kilobyte], ['many lines', `data: ${kilobyte}\n`]] as const) {
    let written = 0
    const server = await startStreams(t, async (response, _method, number) => {
      open(response)
      if (number > 1) return response.write('event: note\ndata: "whole"\n\n')
      response.write(what === 'a comment' ? ': ' : 'data: ')
      const closed = once(response, 'close')
      while (!response.destroyed && written < 1e8) {
        written += piece.length
        if (!response.write(piece)) await Promise.race([once(response, 'drain'), closed])
      }
    })
    const { client, states } = watch(t, server.url, { maxUpdateLength: 100_000 })
    t.equal(await client.once('note'), 'whole', what)
    t.equal(states.find(([state]) => state === 'waiting')?.[1].reason, 'too-long')
    t.ok(written < 2e7, `${written} characters were written`)
    client.close()
  }
})

t.test('an update as long as is allowed comes', async (t) => {
  const data = JSON.stringify('x'.repeat(90_000))
  const server = await startStreams(t, (response) => {
    open(response)
    for (let number = 0; number < 5; number++) response.write(`event: note\ndata: ${data}\n\n`)
    response.write('event: last\ndata: 1\n\n')
  })
  const { client, states } = watch(t, server.url, { maxUpdateLength: 100_000 })
  await client.once('last')
  t.strictSame(states.map(([state]) => state), ['connecting', 'open'])
})

t.test('an answer to events that never comes is waited for no longer than requestTimeoutMs', async (t) => {
  const server = await startStreams(t, (response, method, number) => {
    if (method === 'GET') open(response, hello({ verdict: 'resumed' }))
    else if (number > 1) response.writeHead(202).end('{"seq":1}')
  })
  const { client, states } = watch(t, server.url, { requestTimeoutMs: 100.5 })
  await client.emit('ping')
  await until(() => states.some(([, { reason }]) => reason === 'unanswered'), 'the stream to be given up')
  t.equal(server.count('POST'), 2)
})

t.test('events that are redirected, as by a portal, take no stream from the page, and go up again', async (t) => {
  for (const status of [301, 302, 303, 307, 308]) {
    let isPortal = true
    const accepted: unknown[] = []
    const { client, states, sent } = await connectLive(t, {
      live: { on: { say: (_session, { text }) => { accepted.push(text) } } },
      setup: (app) => {
        app.addHook('onRequest', async (request, reply) => {
          if (request.method !== 'POST' || !isPortal) return
          isPortal = false
          return reply.redirect(request.url, status)
        })
      }
    })
    await client.emit('say', { text: 'redirected' })
    await client.emit('say', { text: 'after' })
    await until(() => accepted.length === 2, 'both')
    t.strictSame(accepted, ['redirected', 'after'], `by ${status}`)
    t.notOk(states.some(([state]) => state === 'closed'))
    t.equal(sent.at(-1)!.headers.accept, 'application/json')
    client.close()
  }
})
