import t from 'tap'
import { takenMark } from '../../../plugin/protocol/claim.ts'
import { answerFrame, gapFrame, goodbyeFrame, heartbeatComment, heartbeatFrame, helloFrame, pongFrame } from '../../../plugin/protocol/control-frame.ts'

const session = 'AbCdEfGhIjKlMnOpQrStUv-_'

t.test('hello names the session in its id, so that one without updates can be resumed', async (t) => {
  const hello = { session, verdict: 'new', seq: 0, heartbeatMs: 20_000, maxBatch: 32, maxEventBytes: 65_536 } as const
  t.equal(helloFrame(hello),
    `id: ${session}.0\nevent: tether\ndata: {"type":"hello","session":"${session}","verdict":"new","seq":0,"heartbeatMs":20000,"maxBatch":32,"maxEventBytes":65536}\n\n`)
  t.match(helloFrame({ ...hello, accepted: 7 }), '"maxEventBytes":65536,"accepted":7}\n')
  t.match(helloFrame({ ...hello, verdict: 'gap', seq: 41 }), `id: ${session}.41\n`)
})

t.test('heartbeat', async (t) => {
  t.equal(heartbeatFrame(7), 'event: tether\ndata: {"type":"heartbeat","seq":7}\n\n')
  t.equal(heartbeatComment, ':\n\n')
})

t.test('pong', async (t) => {
  t.equal(pongFrame('a\n\nb'), 'event: tether\ndata: {"type":"pong","id":"a\\n\\nb"}\n\n', 'an id stays on its line')
  t.equal(pongFrame(0.5), 'event: tether\ndata: {"type":"pong","id":0.5}\n\n')
})

t.test('gap', async (t) => {
  t.equal(gapFrame(null, 7), 'event: tether\ndata: {"type":"gap","seq":7}\n\n')
  t.equal(gapFrame(`${session}.`, 7), `id: ${session}.7\nevent: tether\ndata: {"type":"gap","seq":7}\n\n`)
})

t.test('goodbye', async (t) => {
  t.equal(goodbyeFrame({ reason: 'closed', reconnect: false }), 'event: tether\ndata: {"type":"goodbye","reason":"closed","reconnect":false}\n\n')
  t.equal(goodbyeFrame({ reason: 'draining', reconnect: true }, { retryMs: 1500 }),
    'retry: 1500\nevent: tether\ndata: {"type":"goodbye","reason":"draining","reconnect":true}\n\n')
  t.equal(goodbyeFrame({ reason: 'draining', reconnect: true }, { retryMs: 0 }).split('\n', 1)[0], 'retry: 0')
  t.equal(goodbyeFrame({ reason: 'replaced', reconnect: false }, { id: `${session}.${takenMark}` }),
    `id: ${session}.taken\nevent: tether\ndata: {"type":"goodbye","reason":"replaced","reconnect":false}\n\n`)
  t.equal(goodbyeFrame({ reason: 'a\n\nb\u2028', reconnect: false }),
    'event: tether\ndata: {"type":"goodbye","reason":"a\\n\\nb\u2028","reconnect":false}\n\n', 'a reason of the application\'s stays on its line')
})

t.test('answer', async (t) => {
  t.equal(answerFrame({ status: 202, seq: 7 }), 'event: tether\ndata: {"type":"answer","status":202,"seq":7}\n\n')
  t.match(answerFrame({ status: 202, seq: 7, known: 2 }), '"seq":7,"known":2}\n')
  t.equal(answerFrame({ status: 409, code: 'FST_ERR_TETHER_SEQUENCE', message: 'skips', expected: 3, errors: undefined }),
    'event: tether\ndata: {"type":"answer","status":409,"code":"FST_ERR_TETHER_SEQUENCE","message":"skips","expected":3}\n\n')
})
