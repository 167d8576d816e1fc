import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readEvents } from '../../../tune/input/events.ts'
import { helpText, readOptions } from '../../../tune/input/options.ts'
import { sampleOf } from '../../../tune/input/sample.ts'

const least = ['--url', 'http://127.0.0.1:3000/live', '--events', 'events.ndjson']

t.test('what is not given has the documented default', async (t) => {
  t.match(readOptions(least), {
    headers: {},
    connectRate: 500,
    readers: { fast: 1, slow: 0, frozen: 0, churning: 0 },
    transport: 'sse',
    rate: 1,
    maxClients: 2_000,
    hasMaxClients: false,
    minutes: 10,
    quick: false,
    json: null,
    out: 'tether-tune',
    compare: null,
    objectives: [{ name: 'p99=250ms', share: 0.99, limitMs: 250 }]
  })
  t.equal(readOptions([...least, '--quick'])!.minutes, 1.5)
  t.equal(readOptions([...least, '--json', 'a.json'])!.out, null)
  t.equal(readOptions(['--help']), null)
})

t.test('every option is read', async (t) => {
  const options = readOptions([
    ...least, '--headers', 'Authorization: Bearer a:b', '--headers', '{"x-one":"1"}', '--cookie', 'a=1; b=2', '--connect-rate', '50', '--readers', 'fast=0.5,slow=0.3,frozen=0.1,churning=0.1',
    '--transport', 'websocket', '--slo', 'p99=250ms', '--slo', 'p50=5ms,p99.9=1.5s', '--rate', '0.5', '--max-clients', '300', '--minutes', '2', '--max-memory', '512MB', '--json', 'a.json', '--out', 'out', '--compare', 'b.json'
  ])!
  t.strictSame(options.headers, { authorization: 'Bearer a:b', 'x-one': '1', cookie: 'a=1; b=2' })
  t.strictSame(options.readers, { fast: 0.5, slow: 0.3, frozen: 0.1, churning: 0.1 })
  t.strictSame(options.objectives.map(({ share, limitMs }) => [share, limitMs]), [[0.99, 250], [0.5, 5], [0.9990000000000001, 1_500]])
  t.match(options, { transport: 'websocket', rate: 0.5, maxClients: 300, hasMaxClients: true, minutes: 2, maxMemoryBytes: 512e6, json: 'a.json', out: 'out', compare: 'b.json', connectRate: 50 })
})

t.test('what is wrong is refused by name', async (t) => {
  const rows: Array<[string[], RegExp]> = [
    [[], /^--url is needed/],
    [['--url', 'http://127.0.0.1/live'], /^--events is needed/],
    [[...least, '--url', 'live'], /^--url must be a URL/],
    [[...least, '--url', 'ftp://127.0.0.1/live'], /^--url must be a URL/],
    [[...least, '--url', 'http://me:pw@127.0.0.1/live'], /^--url must have no user/],
    [[...least, '--url', 'http://example.com/live'], /^--url is not on this machine.*--i-own-this example\.com/],
    [[...least, '--url', 'http://10.0.0.1/live'], /^--url is not on this machine/],
    [[...least, '--url', 'http://127.example.com/live'], /^--url is not on this machine/],
    [[...least, '--url', 'http://0.0.0.0/live'], /^--url is not on this machine/],
    [[...least, '--url', 'http://example.com/live', '--i-own-this', 'example.org'], /^--i-own-this must be the host/],
    [[...least, '--headers', 'authorization'], /^--headers must be "name: value"/],
    [[...least, '--headers', '{"a"'], /^--headers must be/],
    [[...least, '--headers', '{"a":1}'], /^--headers: "a" is not a header/],
    [[...least, '--headers', 'a b: c'], /^--headers: "a b" is not a header/],
    [[...least, '--headers', 'host: example.com'], /^--headers: the command sets host/],
    [[...least, '--cookie', 'nothing'], /^--cookie must be/],
    [[...least, '--connect-rate', '0'], /^--connect-rate must be a positive number/],
    [[...least, '--rate', 'fast'], /^--rate must be a positive number/],
    [[...least, '--rate', ''], /^--rate must be a positive number/],
    [[...least, '--max-clients', '1.5'], /^--max-clients must be a whole number/],
    [[...least, '--max-clients', '100001'], /^--max-clients must be at most 100,000/],
    [[...least, '--minutes', '-1'], /^--minutes must be a positive number|--minutes/],
    [[...least, '--minutes', '1441'], /^--minutes must be at most/],
    [[...least, '--max-memory', 'much'], /^--max-memory must be a size/],
    [[...least, '--readers', 'fast=0.5'], /^--readers: the shares must add up to 1/],
    [[...least, '--readers', 'fast=0.5,fast=0.5'], /^--readers must be shares/],
    [[...least, '--readers', 'quick=1'], /^--readers must be shares/],
    [[...least, '--readers', 'frozen=1'], /^--readers must name somebody who reads/],
    [[...least, '--transport', 'carrier-pigeon'], /^--transport must be sse, websocket, http2/],
    [[...least, '--slo', 'p99'], /^--slo must be a percentile and a time/],
    [[...least, '--slo', 'p99=250'], /^--slo must be a duration/],
    [[...least, '--slo', 'p100=1s'], /^--slo must be a percentile/],
    [[...least, '--slo', 'p99=1s', '--slo', 'p99=2s'], /^--slo names a percentile twice/],
    [[...least, '--no-such-option'], /no-such-option/],
    [[...least, 'word'], /word/]
  ]
  for (const [words, message] of rows) t.throws(() => readOptions(words), { message }, words.slice(-2).join(' '))
})

t.test('this machine and owned hosts are allowed', async (t) => {
  for (const host of ['127.0.0.1:1', '127.9.9.9', 'localhost:3000', '[::1]:3000']) t.doesNotThrow(() => readOptions([...least, '--url', `http://${host}/live`]), host)
  for (const host of ['example.com', 'example.com:8443']) t.doesNotThrow(() => readOptions([...least, '--url', 'https://example.com:8443/live', '--i-own-this', host]), host)
})

t.test('the help names every option', async (t) => {
  for (const name of ['url', 'events', 'headers', 'cookie', 'connect-rate', 'readers', 'transport', 'slo', 'rate', 'max-clients', 'minutes', 'json', 'out', 'compare', 'i-own-this', 'quick']) t.match(helpText(), `--${name}`)
})

const url = new URL('http://127.0.0.1:9/live')

t.test('events come from lines of JSON', async (t) => {
  const file = join(t.testdir(), 'events.ndjson')
  writeFileSync(file, '{"event":"a","data":{"n":1},"weight":3}\n\n{"event":"b"}\r\n')
  t.strictSame(await readEvents({ events: file, url, headers: {}, transport: 'sse' }), [{ event: 'a', data: { n: 1 }, weight: 3 }, { event: 'b', data: {}, weight: 1 }])
  const rows: Array<[string, RegExp]> = [
    ['', /has no event/],
    ['{"event":"a"}\nnot json', /line 2 is not a JSON object/],
    ['[1]', /line 1 is not a JSON object/],
    ['{"data":{}}', /line 1 has no "event"/],
    ['{"event":"a","weight":0}', /line 1: "weight" must be a positive number/],
    ['{"event":"a","wieght":1}', /line 1 has "wieght"/]
  ]
  for (const [text, message] of rows) {
    writeFileSync(file, text)
    await t.rejects(readEvents({ events: file, url, headers: {}, transport: 'sse' }), { message }, text)
  }
  await t.rejects(readEvents({ events: join(t.testdirName, 'none.ndjson'), url, headers: {}, transport: 'sse' }), { message: /^--events: / })
})

t.test('events come from an OpenAPI document, with data that its schemas allow', async (t) => {
  const file = join(t.testdir(), 'openapi.json')
  const body = (schema: object) => ({ requestBody: { content: { 'application/json': { schema } } } })
  writeFileSync(file, JSON.stringify({
    openapi: '3.1.0',
    paths: {
      '/live': { get: {}, post: body({}) },
      '/live/zoom': { post: body({ $ref: '#/components/schemas/Zoom' }) },
      '/live/pause': { post: {} },
      '/live/order': { post: { ...body({}), responses: { 200: {}, 202: {}, 422: {} } } },
      '/live/tether.close': { post: {} },
      '/other': { post: body({}) }
    },
    components: { schemas: { Zoom: { type: 'object', required: ['level', 'range'], properties: { level: { type: 'integer', minimum: 3 }, range: { enum: ['1h', '24h'] }, note: { type: 'string' } } } } }
  }))
  t.strictSame(await readEvents({ events: file, url, headers: {}, transport: 'sse' }), [{ event: 'zoom', data: { level: 3, range: '1h' }, weight: 1 }, { event: 'pause', data: {}, weight: 1 }])
})

t.test('a sample fits its schema', async (t) => {
  const rows: Array<[object, unknown]> = [
    [{ type: 'string', minLength: 3 }, 'xxx'],
    [{ type: 'string', format: 'uuid' }, '00000000-0000-4000-8000-000000000000'],
    [{ type: 'integer', exclusiveMinimum: 4 }, 5],
    [{ type: 'number', maximum: -2 }, -2],
    [{ type: 'integer', minimum: 3, multipleOf: 5 }, 5],
    [{ type: 'array', minItems: 2, items: { type: 'boolean' } }, [false, false]],
    [{ anyOf: [{ const: 'a' }, { const: 'b' }] }, 'a'],
    [{ allOf: [{ type: 'object', required: ['a'], properties: { a: { default: 1 } } }, { type: 'object', required: ['b'], properties: { b: { example: 2 } } }] }, { a: 1, b: 2 }],
    [{ type: ['null', 'string'] }, null]
  ]
  for (const [schema, value] of rows) t.strictSame(sampleOf(schema, () => null), value, JSON.stringify(schema))
})
