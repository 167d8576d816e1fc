import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { connect, type ClientError, type ConnectOptions, type ConnectionState, type StateDetail } from '../../client/index.ts'
import { isSettled, turns, until } from '../e2e/harness/until.ts'
import { hello, open, startStreams } from './stream-server.ts'

function watch (t: Test, url: string, options: ConnectOptions = {}) {
  const client = connect(url, { retryMs: 5, retryMaxMs: 10, ...options })
  t.teardown(() => client.close())
  const states: Array<[ConnectionState, StateDetail]> = []
  client.onState((state, detail) => states.push([state, detail]))
  const became = async (state: ConnectionState, times = 1) => (await until(() => states.filter(([name]) => name === state)[times - 1], `${state}, ${times} times`))[1]
  return { client, states, became }
}

const page = '<!doctype html><title>Sign in to this network</title>'
/** A body of Fastify's, without and with a code of its own. */
const plain = (status: number) => JSON.stringify({ statusCode: status, error: 'Bad Request', message: 'Client Error' })
const coded = (status: number) => JSON.stringify({ statusCode: status, code: 'FST_ERR_TETHER_NOT_ACCEPTABLE', message: 'no' })
const foreign = (status: number) => JSON.stringify({ status, code: 3, errors: [{ reason: 'bad' }], reason: 'theirs', expected: 'you' })

/** What docs/client.md says of an answer to the stream's GET. */
const closing = [204, 401, 403, 413, 415]
const closingIfOurs = [400, 405, 406, 422]
// Not 407 and 421, which fetch deals with itself.
const passing = [201, 202, 205, 206, 304, 402, 404, 408, 409, 410, 411, 412, 414, 416, 417, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 511, 520, 530]

t.test('what an answer to the GET does, of whatever kind', async (t) => {
  const bodies: Array<[string, (status: number) => string]> = [['a page', () => page], ['no code', plain], ['another\'s', foreign], ['ours', coded], ['nothing', () => '']]
  for (const status of [...closing, ...closingIfOurs, ...passing]) {
    for (const [what, body] of bodies) {
      const isBodiless = status === 204 || status === 205 || status === 304
      const server = await startStreams(t, (response, method, number) => {
        if (method === 'GET' && number > 1) return open(response)
        response.writeHead(status, { 'content-type': 'text/html' }).end(isBodiless ? '' : body(status))
      })
      const { client, became, states } = watch(t, server.url)
      const isClosing = closing.includes(status) || (what === 'ours' && closingIfOurs.includes(status))
      const [, detail] = await until(() => states.find(([state]) => state === (isClosing ? 'closed' : 'waiting')), `${status} with ${what} to make it ${isClosing ? 'closed' : 'waiting'}`)
      t.equal(detail.status, status, `${status} with ${what}`)
      t.equal(detail.reason, undefined, 'no reason but ours')
      if (!isClosing) await became('open')
      client.close()
      t.equal(server.count('GET'), isClosing ? 1 : 2)
    }
  }
})

t.test('the guide lists the same', async (t) => {
  const guide = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8')
  const cells = guide.slice(guide.indexOf('### Retries'), guide.indexOf('The wait before a retry')).split('\n')
    .filter((line) => line.startsWith('|') && line.includes('`closed`')).map((line) => line.split('|')[1]!)
  const listed = cells.map((cell) => (cell.match(/\d{3}/g) ?? []).map(Number))
  t.strictSame(listed, [[204], closing.slice(1), closingIfOurs])
})

t.test('a 200 that is no stream is tried again, and says so', async (t) => {
  const kinds: Array<string | undefined> = ['text/html', 'application/json', 'text/event-streams', 'text/plain; a=text/event-stream', '', undefined]
  const server = await startStreams(t, (response, _method, number) => {
    if (number > kinds.length) return open(response)
    const type = kinds[number - 1]
    // Never ends: the client has to let it go.
    response.writeHead(200, type === undefined ? {} : { 'content-type': type }).write(page)
    response.on('close', () => ended++)
  })
  let ended = 0
  const { client, became, states } = watch(t, server.url)
  await became('open')
  const waited = states.filter(([state]) => state === 'waiting')
  t.strictSame(waited.map(([, { reason, status }]) => [reason, status]), kinds.map(() => ['not-a-stream', 200]))
  await until(() => ended === kinds.length, 'the end of all pages')
  client.close()
})

t.test('a type with parameters, in any case, is a stream', async (t) => {
  for (const type of ['text/event-stream; charset=utf-8', 'Text/Event-Stream;charset=UTF-8', 'text/event-stream ; a=b']) {
    const server = await startStreams(t, (response) => { response.writeHead(200, { 'content-type': type }).write(hello()) })
    const { client, became } = watch(t, server.url)
    await became('open')
    client.close()
  }
})

t.test('a portal that comes and goes ends neither page nor events', async (t) => {
  let isPortal = false
  const taken: unknown[] = []
  const server = await startStreams(t, (response, method, _number, { body }) => {
    if (isPortal) return response.writeHead(200, { 'content-type': 'text/html' }).end(page)
    if (method === 'GET') return open(response, hello({ verdict: 'resumed' }))
    taken.push(body)
    response.writeHead(202, { 'content-type': 'application/json' }).end(JSON.stringify({ seq: body.seq }))
  })
  const { client, became, states } = watch(t, server.url)
  await became('open')
  isPortal = true
  const emitted = client.emit('ping')
  await until(() => states.some(([, { reason }]) => reason === 'not-a-stream'), 'the portal to be seen')
  t.ok(states.some(([, { reason }]) => reason === 'unanswered'))
  t.notOk(await isSettled(emitted))
  isPortal = false
  await emitted
  t.strictSame(taken, [{ event: 'ping', data: {}, seq: 1 }])
})

t.test('what an answer to events does', async (t) => {
  const passing = [200, 201, 204, 205, 404, 408, 410, 425, 429, 500, 502, 503, 504]
  for (const status of passing) {
    const server = await startStreams(t, (response, method, number) => {
      if (method === 'GET') return open(response, hello({ verdict: 'resumed' }))
      // Twice, for no answer of another's stands by being given again.
      response.writeHead(number > 3 ? 202 : status).end(status === 204 || status === 205 || number > 3 ? '' : page)
    })
    const { client, states } = watch(t, server.url)
    await client.emit('ping')
    client.close()
    t.equal(states.filter(([, { reason }]) => reason === 'unanswered').length, 3, `${status} passes`)
  }
  for (const status of [401, 403, 413, 415]) {
    for (const body of [page, plain(status), coded(status)]) {
      const server = await startStreams(t, (response, method) => {
        if (method === 'GET') open(response)
        else response.writeHead(status).end(body)
      })
      const { client, states } = watch(t, server.url)
      t.equal(await client.emit('ping').catch((error: ClientError) => error.status), status)
      client.close()
      t.equal(states.filter(([state]) => state === 'waiting').length, 0)
    }
  }
})

t.test('a refusal without a code of ours may be another\'s: it stands when it comes again', async (t) => {
  for (const status of [400, 405, 406, 422]) {
    for (const body of [page, plain(status), foreign(status), '']) {
      let isFaulty = true
      const server = await startStreams(t, (response, method, _number) => {
        if (method === 'GET') return open(response, hello({ verdict: 'resumed' }))
        response.writeHead(isFaulty ? status : 202).end(isFaulty ? body : '{}')
        isFaulty = false
      })
      const { client, states } = watch(t, server.url)
      await client.emit('ping')
      t.match(states.filter(([state]) => state === 'waiting'), [['waiting', { reason: 'unanswered' }]], `${status} once`)
      client.close()

      const stubborn = await startStreams(t, (response, method) => {
        if (method === 'GET') open(response, hello({ verdict: 'resumed' }))
        else response.writeHead(status).end(body)
      })
      const other = watch(t, stubborn.url)
      t.equal(await other.client.emit('ping').catch((error: ClientError) => error.status), status)
      t.equal(stubborn.count('POST'), 2)
      other.client.close()
    }
    const server = await startStreams(t, (response, method) => {
      if (method === 'GET') open(response)
      else response.writeHead(status).end(JSON.stringify({ code: 'FST_ERR_VALIDATION' }))
    })
    const { client } = watch(t, server.url)
    await t.rejects(client.emit('ping'), { status, code: 'FST_ERR_VALIDATION' }, 'ours stands at once')
    t.equal(server.count('POST'), 1)
    client.close()
  }
})

t.test('a 503 of a cluster leaves in doubt whether an event was accepted', async (t) => {
  for (const [code, seqs] of [
    // The session had accepted it: another number would run it again.
    ['FST_ERR_TETHER_UNAVAILABLE', [1, 1]],
    // Nothing was accepted, so another sender has number 1.
    ['FST_ERR_TETHER_SESSION_MOVED', [1, 1, 2]],
    ['FST_ERR_TETHER_DRAINING', [1, 1, 2]]
  ] as const) {
    const server = await startStreams(t, (response, method, number, { body }) => {
      if (method === 'GET') return open(response, hello({ verdict: 'resumed' }))
      if (number === 1) response.writeHead(503).end(JSON.stringify({ code }))
      else response.writeHead(202).end(JSON.stringify({ seq: (body as { seq: number }).seq, known: number === 2 ? 1 : 0 }))
    })
    const { client } = watch(t, server.url)
    await client.emit('ping')
    client.close()
    t.same(server.asked.flatMap(({ method, body }) => method === 'POST' && body.seq ? [body.seq] : []), seqs, code)
  }
})

t.test('bodies of any shape hold up no queue', async (t) => {
  const shapes = ['null', '[]', '"text"', '5', '{"errors":5}', '{"errors":[null]}', '{"errors":[{}]}', '{"errors":[{"path":5}]}', '{"errors":"x"}', '{"code":{}}', '{"expected":"x"}', '{"expected":-1}', '{"expected":null}', '{"known":"x","seq":"y"}']
  for (const shape of shapes) {
    for (const status of [400, 409, 202]) {
      const server = await startStreams(t, (response, method, number) => {
        if (method === 'GET') return open(response, hello({ verdict: 'resumed' }))
        response.writeHead(number > 2 ? 202 : status).end(shape)
      })
      const { client } = watch(t, server.url)
      await Promise.allSettled([client.emit('ping'), client.emit('ping')])
      await client.emit('ping')
      client.close()
    }
  }
  t.pass('all were settled')
})

t.test('what is kept alive and refused by the browser goes up another way, on the same stream', async (t) => {
  const listeners: Array<(event: { type: string }) => void> = []
  const globals = globalThis as { document?: { hidden: boolean }, addEventListener?: unknown }
  globals.document = { hidden: true }
  globals.addEventListener = (_type: string, listener: (event: { type: string }) => void) => { listeners.push(listener) }
  t.teardown(() => {
    delete globals.document
    delete globals.addEventListener
  })
  const taken: number[] = []
  const server = await startStreams(t, (response, method, _number, { body }) => {
    if (method === 'GET') return open(response)
    const envelopes = [body].flat() as Array<{ seq: number }>
    for (const { seq } of envelopes) if (seq > taken.length) taken.push(seq)
    response.writeHead(202).end(JSON.stringify({ seq: taken.length }))
  })
  let refused = 0
  const { client, states, became } = watch(t, server.url, {
    fetch: async (url, init) => {
      // As a browser does whose page has 64 KiB on their way.
      if (init?.keepalive === true) {
        refused++
        throw new TypeError('Failed to fetch')
      }
      return fetch(url, init)
    }
  })
  await became('open')
  for (let round = 0; round < 5; round++) {
    await Promise.all([client.emit('ping'), client.emit('ping')])
    await turns()
  }
  t.strictSame(taken, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  t.ok(refused >= 5)
  t.strictSame(states.map(([state]) => state), ['connecting', 'open'], 'the stream stays')
})
