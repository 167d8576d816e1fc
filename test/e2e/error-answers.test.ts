import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { startLive } from './harness/live.ts'
import { refused } from './harness/refusal.ts'
import { post, readWhole, request } from './harness/request.ts'
import type { Json } from './harness/reader.ts'
import { until } from './harness/until.ts'

const bad = { event: 'say', data: { text: 5 } }
const faults = [{ path: '/data/text', message: 'must be string' }]

interface OurError extends Error {
  code: string
  statusCode: number
  errors?: unknown
  expected?: number
}

t.test('by Fastify\'s own handler, errors and expected reach the client', async (t) => {
  const server = await startLive(t)
  const { session } = await server.connect()
  const invalid = await post(server, session.id, bad)
  t.same(invalid.json, { statusCode: 400, code: 'FST_ERR_VALIDATION', error: 'Bad Request', message: '/data/text must be string', errors: faults })
  t.match(invalid.headers['content-type'], /^application\/json; charset=utf-8$/)
  const skipping = await post(server, session.id, { event: 'ping', data: {}, seq: 3 })
  t.match(skipping.json, { statusCode: 409, code: 'FST_ERR_TETHER_SEQUENCE', error: 'Conflict', expected: 1 })
  t.notOk('errors' in skipping.json)
  const missing = await post(server, 'x'.repeat(24), { event: 'ping', data: {} })
  t.same(Object.keys(missing.json).sort(), ['code', 'error', 'message', 'statusCode'], 'others have no such fields')
})

t.test('Fastify\'s own errors stay as they are', async (t) => {
  const server = await startLive(t, { setup: (app) => { app.post('/bare', { bodyLimit: 65_536 }, () => ({})) } })
  const { session } = await server.connect()
  for (const [type, body] of [['application/json', '{'], ['application/json', ''], ['application/xml', '<a/>'], ['application/json', ' '.repeat(70_000)]] as const) {
    const options = { method: 'POST', headers: { 'x-tether-session': session.id, 'content-type': type }, body }
    const [ours, bare] = [await request(server, '/live', options), await request(server, '/bare', options)]
    t.equal(ours.status, bare.status)
    t.same(ours.json, bare.json, `as a bare route answers ${type} of ${body.length} bytes`)
  }
})

t.test('where the application has a handler of its own, the error carries errors, and theirs decides', async (t) => {
  const seen: OurError[] = []
  const answers: Record<string, (error: OurError) => unknown> = {
    'an object in the place of our text': (error) => ({ error: { code: error.code, faults: error.errors }, message: { en: 'no' } }),
    'errors of another form': () => ({ errors: ['a', { field: 'b' }], statusCode: 'four hundred', expected: null }),
    'a list': (error) => [error.code],
    'a problem document': (error) => ({ type: 'about:blank', title: error.message, status: 400, extensions: { deep: [1, { a: 2 }] } })
  }
  for (const [what, answer] of Object.entries(answers)) {
    t.test(`with ${what}`, async (t) => {
      seen.length = 0
      const server = await startLive(t, {
        setup: (app) => {
          app.setErrorHandler((error: OurError, request, reply) => {
            seen.push(error)
            return reply.code(422).send(answer(error))
          })
        }
      })
      const { session } = await server.connect()
      const invalid = await post(server, session.id, bad)
      t.equal(invalid.status, 422)
      t.equal(seen.length, 1)
      t.match(seen[0], { code: 'FST_ERR_VALIDATION', statusCode: 400, errors: faults })
      t.ok(seen[0] instanceof Error)
      t.same(invalid.json, answer(seen[0]!), 'what it answers goes out as it is')
      const skipping = await post(server, session.id, { event: 'ping', data: {}, seq: 3 }, '/live')
      t.equal(skipping.status, 422)
      t.match(seen[1], { code: 'FST_ERR_TETHER_SEQUENCE', expected: 1 })
      t.equal((await post(server, session.id, { text: 5 }, '/live/say')).status, 422)
      t.match(seen[2], { code: 'FST_ERR_VALIDATION', errors: [{ path: '/text', message: 'must be string' }] })
      t.equal((await readWhole(server, '/live', { accept: 'application/json' })).status, 422)
      t.match(seen[3], { code: 'FST_ERR_TETHER_NOT_ACCEPTABLE' })
    })
  }

  t.test('one that answers with text', async (t) => {
    const server = await startLive(t, { setup: (app) => { app.setErrorHandler((error: OurError, request, reply) => reply.code(400).type('text/plain').send(`no: ${error.code}`)) } })
    const { session } = await server.connect()
    const answer = await post(server, session.id, bad)
    t.equal(answer.text, 'no: FST_ERR_VALIDATION')
    t.match(answer.headers['content-type'], /^text\/plain/)
  })

  t.test('one that hands on to Fastify\'s', async (t) => {
    const server = await startLive(t, {
      setup: (app) => {
        app.setErrorHandler((error: OurError, request, reply) => {
          reply.header('x-handled', 'yes')
          throw error
        })
      }
    })
    const { session } = await server.connect()
    const answer = await post(server, session.id, bad)
    t.equal(answer.headers['x-handled'], 'yes')
    t.match(answer.json, { statusCode: 400, code: 'FST_ERR_VALIDATION', errors: faults })
  })
})

t.test('an application\'s own error is not told more of than on any route', async (t) => {
  const fail = () => { throw Object.assign(new Error('secret enough'), { statusCode: 402, code: 'APP', errors: ['internal'], expected: 5, detail: 'internal' }) }
  const server = await startLive(t, { live: { initialState: fail }, setup: (app) => { app.get('/bare', fail) } })
  const ours = await readWhole(server, '/live', { accept: 'text/event-stream' })
  t.equal(ours.status, 402)
  t.same(ours.json, (await request(server, '/bare')).json)
})

t.test('@fastify/swagger shows each event\'s schema', async (t) => {
  const { default: swagger } = await import('@fastify/swagger')
  const server = await startLive(t, { setup: async (app: FastifyInstance) => { await app.register(swagger, { openapi: { info: { title: 'test', version: '1' } } }) } })
  const document = server.app.swagger() as Json
  t.same(Object.keys(document.paths).sort(), ['/live', '/live/count', '/live/ping', '/live/say', '/live/tether.close'])
  const { get, post: postAll } = document.paths['/live']
  t.type(get, 'object')
  const { anyOf } = postAll.requestBody.content['application/json'].schema
  t.match(anyOf[0].anyOf, [
    { title: 'ping', properties: { event: { enum: ['ping'] }, data: { type: 'object' }, seq: { type: 'integer' } } },
    { title: 'say', properties: { event: { enum: ['say'] }, data: { type: 'object', required: ['text'], properties: { text: { type: 'string' } } } } },
    { title: 'count', properties: { event: { enum: ['count'] }, data: { properties: { to: { type: 'integer' } } } } }
  ], 'as an envelope')
  t.match(anyOf[1], { type: 'array', maxItems: 32 }, 'as an array of them')
  for (const type of ['application/json', 'application/x-www-form-urlencoded']) {
    t.match(document.paths['/live/say'].post.requestBody.content[type].schema, { type: 'object', required: ['text'], properties: { text: { type: 'string' } } }, `by its own URL, as ${type}`)
    t.match(document.paths['/live/count'].post.requestBody.content[type].schema, { properties: { to: { type: 'integer' } } })
  }
  t.match(document.paths['/live/say'].post.responses, { 202: {}, 204: {}, '4XX': {} })
})

t.test('parsers of the application', async (t) => {
  const formHeaders = (id: string) => ({ 'x-tether-session': id, 'content-type': 'application/x-www-form-urlencoded' })
  const said: unknown[] = []
  const live = { on: { say: (_session: unknown, data: unknown) => { said.push(data) } } }

  t.test('@fastify/formbody, registered before', async (t) => {
    const { default: formbody } = await import('@fastify/formbody')
    const server = await startLive(t, {
      live,
      setup: async (app) => {
        await app.register(formbody)
        app.post('/form', (request) => request.body)
      }
    })
    const { session } = await server.connect()
    t.equal((await request(server, '/live/say', { headers: formHeaders(session.id), body: 'text=a', method: 'POST' })).status, 204)
    await until(() => said.length === 1, 'the event')
    t.same(said.splice(0), [{ text: 'a' }])
    t.same((await request(server, '/form', { headers: formHeaders(''), body: 'a=1', method: 'POST' })).json, { a: '1' }, 'still works elsewhere')
  })

  t.test('@fastify/formbody, registered after', async (t) => {
    const { default: formbody } = await import('@fastify/formbody')
    const server = await startLive(t, { live })
    t.ok(server.app.hasContentTypeParser('application/json'))
    t.notOk(server.app.hasContentTypeParser('application/x-www-form-urlencoded'), 'ours stays with our routes')
    const later = await startLive(t, { live, setup: (app) => { app.register(async (child) => { await child.register(formbody) }) } })
    const { session } = await later.connect()
    t.equal((await request(later, '/live/say', { headers: formHeaders(session.id), body: 'text=b', method: 'POST' })).status, 204)
    await until(() => said.length === 1, 'the event')
    t.same(said.splice(0), [{ text: 'b' }])
  })

  t.test('a form parser of its own', async (t) => {
    const server = await startLive(t, {
      live,
      setup: (app) => {
        app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (request, body, done) => {
          done(null, { text: `own ${String(body)}` })
        })
      }
    })
    const { session } = await server.connect()
    t.equal((await request(server, '/live/say', { headers: formHeaders(session.id), body: 'text=a', method: 'POST' })).status, 204)
    await until(() => said.length === 1, 'the event')
    t.same(said.splice(0), [{ text: 'own text=a' }])
  })

  t.test('a JSON parser of its own', async (t) => {
    const server = await startLive(t, {
      live,
      setup: (app) => {
        app.removeContentTypeParser('application/json')
        app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
          if (body === '') done(null, undefined)
          else if (body === 'null proto') done(null, Object.assign(Object.create(null), { event: 'say', data: Object.assign(Object.create(null), { text: 'n' }) }))
          else done(null, JSON.parse(String(body)))
        })
      }
    })
    const { session } = await server.connect()
    const send = (body: string, path = '/live') => request(server, path, { method: 'POST', headers: { 'x-tether-session': session.id, 'content-type': 'application/json' }, body })
    t.equal((await send('{"event":"say","data":{"text":"own"}}')).status, 202)
    t.equal((await send('null proto')).status, 202)
    t.equal((await send('', '/live/ping')).status, 202)
    for (const [body, path] of [
      ['{"event":"say","data":{"text":"a"},"__proto__":{"seq":1}}', '/live'],
      ['{"event":"say","data":{"text":"a","__proto__":{"x":1}}}', '/live'],
      ['{"__proto__":{"event":"say","data":{"text":"a"}}}', '/live'],
      ['{"text":"a","__proto__":null}', '/live/say'],
      ['', '/live']
    ] as const) refused(t, await send(body, path), 400, 'FST_ERR_VALIDATION', `${path} ${body}, which its parser lets through`)
    t.equal((await send('{')).status, 500, 'what it throws is its own affair')
    t.same(said.splice(0), [{ text: 'own' }, { text: 'n' }])
  })

  t.test('one for everything', async (t) => {
    const server = await startLive(t, { live, setup: (app) => { app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => { done(null, String(body)) }) } })
    const { session } = await server.connect()
    const headers = { 'x-tether-session': session.id, 'content-type': 'application/xml' }
    refused(t, await request(server, '/live', { method: 'POST', headers, body: '<a/>' }), 400, 'FST_ERR_VALIDATION', 'no envelope')
    refused(t, await request(server, '/live/say', { method: 'POST', headers, body: '<a/>' }), 400, 'FST_ERR_VALIDATION', 'no data')
    t.equal((await request(server, '/live/say', { headers: formHeaders(session.id), body: 'text=c', method: 'POST' })).status, 204, 'forms are forms')
    t.same(said.splice(0), [{ text: 'c' }])
  })
})

t.test('the instance\'s bodyLimit is for its other routes', async (t) => {
  const server = await startLive(t, { fastify: { bodyLimit: 50 }, setup: (app) => { app.post('/bare', () => ({})) } })
  const { session } = await server.connect()
  const body = JSON.stringify({ event: 'say', data: { text: 'x'.repeat(1_000) } })
  const headers = { 'x-tether-session': session.id, 'content-type': 'application/json' }
  t.equal((await request(server, '/bare', { method: 'POST', headers, body })).status, 413)
  t.equal((await request(server, '/live', { method: 'POST', headers, body })).status, 202, 'maxEventBytes is what counts')
})
