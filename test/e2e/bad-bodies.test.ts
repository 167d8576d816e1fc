import { connect } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { Type } from '@sinclair/typebox'
import { defineContract } from '../../plugin/index.ts'
import { openReader } from './harness/reader.ts'
import { post, request } from './harness/request.ts'
import { startServer, type Server } from './harness/server.ts'
import { turns, until } from './harness/until.ts'

const Tree = Type.Recursive((This) => Type.Object({ child: Type.Optional(This) }))

const contract = defineContract({
  events: {
    set: Type.Object({ n: Type.Number(), text: Type.Optional(Type.String({ maxLength: 100 })) }),
    whole: Type.Object({ n: Type.Integer() }),
    tree: Tree,
    free: Type.Object({ value: Type.Unknown() })
  }
})

const json = 'application/json'
const formType = 'application/x-www-form-urlencoded'
const bad = 'FST_ERR_VALIDATION'
const notJson = 'FST_ERR_CTP_INVALID_JSON_BODY'
const noMedia = 'FST_ERR_CTP_INVALID_MEDIA_TYPE'
const tooLarge = 'FST_ERR_CTP_BODY_TOO_LARGE'

interface BadBody {
  what: string
  body: string | Buffer
  type?: string
  headers?: Record<string, string>
  /** Default `/live`. */
  path?: string
  status: number
  code: string
}

const set = '{"event":"set","data":{"n":1}}'
const nested = (open: string, depth: number, close: string, inner: string) => open.repeat(depth) + inner + close.repeat(depth)

const bodies: BadBody[] = [
  { what: 'truncated JSON', body: set.slice(0, -1), status: 400, code: notJson },
  { what: 'truncated in a string', body: '{"event":"se', status: 400, code: notJson },
  { what: 'JSON and more', body: `${set}}`, status: 400, code: notJson },
  { what: 'two values', body: `${set}${set}`, status: 400, code: notJson },
  { what: 'a comment', body: `/* */${set}`, status: 400, code: notJson },
  { what: 'single quotes', body: "{'event':'set'}", status: 400, code: notJson },
  { what: 'NaN', body: '{"event":"set","data":{"n":NaN}}', status: 400, code: notJson },
  { what: 'Infinity', body: '{"event":"set","data":{"n":Infinity}}', status: 400, code: notJson },
  { what: 'no JSON at all', body: 'event=set', status: 400, code: notJson },
  { what: 'bytes', body: Buffer.from([0, 1, 2, 255]), status: 400, code: notJson },
  { what: 'a NUL behind it', body: `${set}\0`, status: 400, code: notJson },
  { what: 'an empty body', body: '', status: 400, code: 'FST_ERR_CTP_EMPTY_JSON_BODY' },
  { what: 'an empty body for an event', body: '', path: '/live/set', status: 400, code: 'FST_ERR_CTP_EMPTY_JSON_BODY' },
  { what: 'white space', body: '  \n ', status: 400, code: notJson },
  { what: '__proto__ in the envelope', body: '{"event":"set","data":{"n":1},"__proto__":{"n":2}}', status: 400, code: notJson },
  { what: '__proto__ in the data', body: '{"event":"free","data":{"value":{"__proto__":{"polluted":1}}}}', status: 400, code: notJson },
  { what: '__proto__ in escapes', body: '{"event":"free","data":{"value":{"\\u005f_proto__":{"polluted":1}}}}', status: 400, code: notJson },
  { what: '__proto__ for an event', body: '{"value":1,"__proto__":{"value":2}}', path: '/live/free', status: 400, code: notJson },
  { what: 'constructor.prototype', body: '{"event":"free","data":{"value":{"constructor":{"prototype":{"polluted":1}}}}}', status: 400, code: notJson },
  { what: 'an event called constructor', body: '{"event":"constructor","data":{}}', status: 400, code: bad },
  { what: 'an event called __proto__', body: '{"event":"__proto__","data":{}}', status: 400, code: bad },
  { what: 'an event called toString', body: '{"event":"toString","data":{}}', status: 400, code: bad },
  { what: 'keys of prototypes', body: '{"event":"set","data":{"n":1,"toString":1,"hasOwnProperty":2}}', status: 400, code: bad },
  { what: 'keys of prototypes in the envelope', body: '{"event":"set","data":{"n":1},"valueOf":1}', status: 400, code: bad },
  { what: 'null', body: 'null', status: 400, code: bad },
  { what: 'null for an event', body: 'null', path: '/live/set', status: 400, code: bad },
  { what: 'a number', body: '5', status: 400, code: bad },
  { what: 'a string', body: '"set"', status: 400, code: bad },
  { what: 'a boolean', body: 'true', status: 400, code: bad },
  { what: 'an empty object', body: '{}', status: 400, code: bad },
  { what: 'an empty array', body: '[]', status: 400, code: bad },
  { what: 'an array of null', body: '[null]', status: 400, code: bad },
  { what: 'data null', body: '{"event":"set","data":null}', status: 400, code: bad },
  { what: 'unknown keys', body: '{"event":"set","data":{"n":1,"m":2}}', status: 400, code: bad },
  { what: 'a good one and a bad one', body: `[${set},{"event":"set","data":{"n":"1"}}]`, status: 400, code: bad },
  { what: 'a bad one and a good one', body: `[{"event":"nope","data":{}},${set}]`, status: 400, code: bad },
  { what: '1e999', body: '{"event":"set","data":{"n":1e999}}', status: 400, code: bad },
  { what: '-1e999 as a whole number', body: '{"event":"whole","data":{"n":-1e999}}', status: 400, code: bad },
  { what: '1e999 as seq', body: '{"event":"set","data":{"n":1},"seq":1e999}', status: 400, code: bad },
  { what: 'a seq beyond what is exact', body: '{"event":"set","data":{"n":1},"seq":9007199254740993}', status: 400, code: bad },
  { what: 'a number of thousands of digits', body: `{"event":"set","data":{"n":1,"text":${'9'.repeat(5_000)}}}`, status: 400, code: bad },
  { what: 'a huge string', body: `{"event":"set","data":{"n":1,"text":"${'x'.repeat(60_000)}"}}`, status: 400, code: bad },
  { what: 'a huge event name', body: `{"event":"${'x'.repeat(60_000)}","data":{}}`, status: 400, code: bad },
  { what: 'a huge key', body: `{"event":"set","data":{"n":1,"${'x'.repeat(60_000)}":1}}`, status: 400, code: bad },
  { what: 'thousands of keys', body: `{"event":"set","data":{${Array.from({ length: 6_000 }, (_, index) => `"k${index}":1`).join()}}}`, status: 400, code: bad },
  { what: 'arrays nested 30,000 deep', body: nested('[', 30_000, ']', ''), status: 400, code: bad },
  { what: 'arrays nested in data', body: `{"event":"set","data":${nested('[', 30_000, ']', '')}}`, status: 400, code: bad },
  { what: 'objects nested 10,000 deep', body: `{"event":"set","data":${nested('{"a":', 10_000, '}', '1')}}`, status: 400, code: bad },
  { what: 'a recursive schema followed down to a fault', body: `{"event":"tree","data":${nested('{"child":', 200, '}', '5')}}`, status: 400, code: bad },
  { what: 'arrays that never close', body: '['.repeat(60_000), status: 400, code: notJson },
  { what: 'invalid UTF-8 in a key', body: Buffer.concat([Buffer.from('{"event":"set","data":{"n":1,"'), Buffer.from([0xff, 0xfe, 0xc0]), Buffer.from('":1}}')]), status: 400, code: bad },
  { what: 'invalid UTF-8 around it', body: Buffer.concat([Buffer.from([0xc3, 0x28]), Buffer.from(set)]), status: 400, code: notJson },
  { what: 'UTF-16', body: Buffer.from(set, 'utf16le'), type: `${json}; charset=utf-16`, status: 400, code: notJson },
  { what: 'gzip', body: gzipSync(set), headers: { 'content-encoding': 'gzip' }, status: 400, code: notJson },
  { what: 'too large', body: JSON.stringify({ event: 'set', data: { n: 1, text: 'x'.repeat(66_000) } }), status: 413, code: tooLarge },
  { what: 'too large for an event', body: ' '.repeat(65_537), path: '/live/set', status: 413, code: tooLarge },
  { what: 'a form that is too large', body: `n=${'1'.repeat(65_536)}`, type: formType, path: '/live/set', status: 413, code: tooLarge },
  { what: 'text', body: set, type: 'text/plain', status: 415, code: noMedia },
  { what: 'text for an event', body: '{"n":1}', type: 'text/plain;charset=UTF-8', path: '/live/set', status: 415, code: noMedia },
  { what: 'XML', body: '<set/>', type: 'application/xml', status: 415, code: noMedia },
  { what: 'a form to the URL of all events', body: 'event=set&data=1', type: formType, status: 415, code: noMedia },
  { what: 'multipart', body: '--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n--x--\r\n', type: 'multipart/form-data; boundary=x', path: '/live/set', status: 415, code: noMedia },
  { what: 'bytes of no type', body: set, type: 'application/octet-stream', status: 415, code: noMedia },
  { what: 'a type that is none', body: set, type: 'json', status: 415, code: noMedia },
  { what: 'a form with a broken escape', body: 'n=%E0%A4%A', type: formType, path: '/live/set', status: 400, code: bad },
  { what: 'a form with __proto__', body: 'n=1&__proto__[x]=1&__proto__=2', type: formType, path: '/live/set', status: 400, code: bad },
  { what: 'a form with a NUL', body: 'n=1%00', type: formType, path: '/live/set', status: 400, code: bad },
  { what: 'a form of thousands of fields', body: Array.from({ length: 6_000 }, (_, index) => `k${index}=1`).join('&'), type: formType, path: '/live/set', status: 400, code: bad },
  { what: 'JSON called a form', body: '{"n":1}', type: formType, path: '/live/set', status: 400, code: bad }
]

async function start (t: Parameters<typeof startServer>[0], setup: (app: FastifyInstance) => unknown = () => {}) {
  const ran: unknown[] = []
  const handler = (name: string) => (_session: unknown, data: unknown) => { ran.push([name, data]) }
  const on = { set: handler('set'), whole: handler('whole'), tree: handler('tree'), free: handler('free') }
  const server = await startServer(t, {
    setup: async (app) => {
      await setup(app)
      app.tether.stateful('/live', { contract, on })
    }
  })
  const reader = await openReader(server)
  await until(() => reader.controls.length, 'hello')
  return { server, id: reader.session, ran }
}

/** Sends bytes as they are, and gives the status line's number of each answer, once the server has closed the connection or `count` have come. */
async function sendRaw (server: Server, bytes: string | Buffer, count = 1): Promise<{ statuses: number[], text: string }> {
  const socket = connect(server.port, '127.0.0.1')
  let text = ''
  let closed = false
  socket.on('data', (piece) => { text += piece.toString('latin1') })
  socket.on('error', () => {})
  socket.on('close', () => { closed = true })
  socket.write(bytes)
  const statuses = () => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
  await until(() => closed || (statuses().length >= count && text.includes('\r\n\r\n')), 'an answer')
  socket.destroy()
  return { statuses: statuses(), text }
}

t.test('bad bodies are answered, each with a code, and nothing of them is applied', async (t) => {
  const { server, id, ran } = await start(t)
  for (const { what, body, type = json, headers, path = '/live', status, code } of bodies) {
    const answer = await request(server, path, { method: 'POST', body, headers: { 'x-tether-session': id, 'content-type': type, ...headers } })
    t.same([answer.status, answer.json.code], [status, code], what)
    t.ok(answer.text.length < 140_000, `${what}: the answer is bounded`)
    await turns(2)
    t.same(ran, [], `${what}: nothing ran`)
    t.equal((await post(server, id, { n: 7 }, '/live/set')).status, 202, `${what}: the session works on`)
    await until(() => ran.length === 1, 'the event behind it')
    ran.length = 0
  }
  t.same(server.errors(), [], 'nothing of it is an error of the server')
  t.equal((Object.prototype as Record<string, unknown>).polluted, undefined)
})

t.test('odd bodies that are right', async (t) => {
  const { server, id, ran } = await start(t)
  const odd: Array<{ what: string, body: string | Buffer, type?: string, path?: string, gives: unknown }> = [
    { what: 'the last of two equal keys counts, as in any JSON', body: '{"event":"set","data":{"n":1},"data":{"n":2,"n":3}}', gives: ['set', { n: 3 }] },
    { what: 'white space around', body: `\n\t ${set} \r\n`, gives: ['set', { n: 1 }] },
    { what: 'any value where the schema says so', body: '{"event":"free","data":{"value":{"constructor":1,"a":[null,1e308]}}}', gives: ['free', { value: { constructor: 1, a: [null, 1e308] } }] },
    { what: 'NUL and lone surrogates in a string', body: '{"event":"set","data":{"n":1,"text":"\\u0000\\ud800\\r\\n"}}', gives: ['set', { n: 1, text: '\0\ud800\r\n' }] },
    { what: 'another letter case of the type', body: set, type: 'Application/JSON; Charset=UTF-8', gives: ['set', { n: 1 }] },
    { what: 'a form with a charset', body: 'n=1', type: `${formType}; charset=UTF-8`, path: '/live/set', gives: ['set', { n: 1 }] }
  ]
  for (const { what, body, type = json, path = '/live', gives } of odd) {
    const answer = await request(server, path, { method: 'POST', body, headers: { 'x-tether-session': id, 'content-type': type } })
    t.ok(answer.status === 202 || answer.status === 204, `${what}: ${answer.status} ${answer.text}`)
    await until(() => ran.length === 1, what)
    t.same(ran.splice(0), [gives], what)
  }

  const invalid = await request(server, '/live', {
    method: 'POST',
    body: Buffer.concat([Buffer.from('{"event":"set","data":{"n":1,"text":"'), Buffer.from([0xff]), Buffer.from('"}}')]),
    headers: { 'x-tether-session': id, 'content-type': json }
  })
  t.equal(invalid.status, 202, 'invalid UTF-8 within a string')
  t.same(ran.splice(0), [['set', { n: 1, text: '\ufffd' }]], 'becomes the replacement character')

  const deep = await request(server, '/live/free', { method: 'POST', body: `{"value":${nested('[', 30_000, ']', '')}}`, headers: { 'x-tether-session': id, 'content-type': json } })
  t.equal(deep.status, 202, 'depth where the schema allows anything')
  t.equal(ran.splice(0).length, 1)
  const tree = await request(server, '/live/tree', { method: 'POST', body: nested('{"child":', 6_000, '}', '{}'), headers: { 'x-tether-session': id, 'content-type': json } })
  t.ok(tree.status === 202 || tree.json.errors[0].message === 'is nested too deeply', `a recursive schema followed 6,000 deep: ${tree.status}`)
  t.equal(ran.splice(0).length, tree.status === 202 ? 1 : 0)
  t.same(server.errors(), [])
})

t.test('compressed bodies are not read, unless the application unpacks them', async (t) => {
  const encodings = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }
  const send = ({ server, id }: Awaited<ReturnType<typeof start>>, path: string, type: string, body: Buffer | string, encoding: string) =>
    request(server, path, { method: 'POST', body, headers: { 'x-tether-session': id, 'content-type': type, 'content-encoding': encoding } })
  const plain = await start(t)
  for (const [encoding, pack] of Object.entries(encodings)) {
    for (const [path, type, text, code] of [['/live', json, set, notJson], ['/live/set', json, '{"n":1}', notJson], ['/live/set', formType, 'n=1', bad]] as const) {
      const answer = await send(plain, path, type, pack(text), encoding)
      t.match(answer.headers['content-type'], /^application\/json/)
      t.match(answer.json, { statusCode: 400, code, error: 'Bad Request', message: String }, `${encoding} to ${path} as ${type}`)
      t.equal(answer.status, 400)
    }
  }
  await turns()
  t.same(plain.ran, [])
  t.equal((await send(plain, '/live', json, set, 'gzip')).status, 202, 'JSON that is only called compressed')
  t.same(plain.server.errors(), [])

  const unpacking = await start(t, (app) => app.register(compress))
  for (const [encoding, pack] of Object.entries(encodings)) {
    t.equal((await send(unpacking, '/live', json, pack(set), encoding)).status, 202, encoding)
    await until(() => unpacking.ran.length === 1, 'the event')
    t.same(unpacking.ran.splice(0), [['set', { n: 1 }]])
    const large = await send(unpacking, '/live', json, pack(set.padEnd(1_000_000)), encoding)
    t.same([large.status, large.json.code], [413, tooLarge], `${encoding} of little that becomes much`)
  }
  t.same(unpacking.ran, [])
})

t.test('a parser of the application\'s own decides what JSON is', async (t) => {
  const { server, id, ran } = await start(t, (app) => {
    const decoder = new TextDecoder('utf-8', { fatal: true })
    app.removeContentTypeParser('application/json')
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
      try {
        done(null, JSON.parse(decoder.decode(body as Buffer)))
      } catch (error) {
        done(Object.assign(error as Error, { statusCode: 400 }))
      }
    })
  })
  const headers = { 'x-tether-session': id, 'content-type': json }
  const invalid = await request(server, '/live', { method: 'POST', body: Buffer.concat([Buffer.from('{"event":"set","data":{"n":1,"text":"'), Buffer.from([0xff]), Buffer.from('"}}')]), headers })
  t.same([invalid.status, invalid.json.statusCode], [400, 400], 'here bytes that are no UTF-8 are refused')
  t.equal((await request(server, '/live', { method: 'POST', body: set, headers })).status, 202)
  await until(() => ran.length === 1, 'the event')
  t.same(ran, [['set', { n: 1 }]])
})

t.test('bodies of every framing', async (t) => {
  const { server, id, ran } = await start(t)
  const head = (headers: string, path = '/live') => `POST ${path} HTTP/1.1\r\nHost: x\r\nX-Tether-Session: ${id}\r\nContent-Type: application/json\r\n${headers}\r\n\r\n`
  const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

  const chunked = await sendRaw(server, `${head('Transfer-Encoding: chunked')}${[...set].map(chunk).join('')}0\r\n\r\n`)
  t.same(chunked.statuses, [202], 'a chunk for each character')
  await until(() => ran.length === 1, 'the event')
  t.same(ran.splice(0), [['set', { n: 1 }]])

  const large = await sendRaw(server, `${head('Transfer-Encoding: chunked')}${chunk(' '.repeat(40_000)).repeat(2)}`)
  t.same(large.statuses, [413], 'too large, and no length told')
  t.match(large.text, tooLarge)

  const announced = await sendRaw(server, head('Content-Length: 70000'))
  t.same(announced.statuses, [413], 'too large, before it is sent')

  const shorter = await sendRaw(server, `${head(`Content-Length: ${set.length - 1}`)}${set}`)
  t.equal(shorter.statuses[0], 400, 'a length that is too short')

  const none = await sendRaw(server, head('Connection: close'))
  t.same(none.statuses, [400], 'JSON, and no body')
  t.match(none.text, 'FST_ERR_CTP_EMPTY_JSON_BODY')

  const cut = connect(server.port, '127.0.0.1')
  cut.on('error', () => {})
  cut.write(`${head(`Content-Length: ${set.length}`)}${set.slice(0, 20)}`)
  await until(() => server.log.filter(({ msg }) => msg === 'incoming request').length >= 6, 'the request to have come')
  cut.resetAndDestroy()

  const pipelined = await sendRaw(server, `${head(`Content-Length: ${set.length}`)}${set}`.repeat(3), 3)
  t.same(pipelined.statuses, [202, 202, 202], 'three in one go')
  await until(() => ran.length >= 3, 'the events')
  await turns()
  t.same(ran.splice(0), [['set', { n: 1 }], ['set', { n: 1 }], ['set', { n: 1 }]], 'and nothing of the one that was cut off')

  const twice = await sendRaw(server, `${head(`X-Tether-Session: ${id}\r\nContent-Length: ${set.length}`)}${set}`)
  t.same(twice.statuses, [404], 'two session headers name no session')
  t.same(server.errors(), [])
})
