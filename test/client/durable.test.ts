// Events that a crash of the session's node would undo: the client keeps them until the server says that they are safe.
import t, { type Test } from 'tap'
import type { Answer } from '../../client/answer.ts'
import { connect, type ConnectOptions } from '../../client/index.ts'
import { until } from '../e2e/harness/until.ts'

interface Envelope { event: string, data: unknown, seq: number }

/** A connection over a link whose answers and frames the test writes. */
function scripted (t: Test, options: ConnectOptions = {}) {
  let text: ((text: string) => Promise<unknown>) | undefined
  let end = () => {}
  const sent: Envelope[][] = []
  const script: { answer: (envelopes: Envelope[]) => Answer } = { answer: (envelopes) => ({ status: 202, seq: envelopes.at(-1)!.seq, known: 0 }) }
  const client = connect('http://nowhere/live', {
    retryMs: 1,
    retryMaxMs: 5,
    ...options,
    link: () => ({
      open: (_claim, onText, signal) => new Promise((resolve, reject) => {
        text = onText
        end = () => {
          text = undefined
          resolve({ status: 200 })
        }
        signal.addEventListener('abort', () => { reject(new Error('aborted')) })
      }),
      send: async (_claim, body) => {
        if (body === '') return { status: 202 }
        const envelopes = [JSON.parse(body) as Envelope | Envelope[]].flat()
        sent.push(envelopes)
        return script.answer(envelopes)
      }
    })
  })
  t.teardown(() => client.close())
  const control = (data: object) => text!(`event: tether\ndata: ${JSON.stringify(data)}\n\n`)
  return {
    client,
    sent,
    script,
    control,
    hello: async (data: object = {}) => {
      await until(() => text !== undefined, 'a stream')
      await control({ type: 'hello', session: 's'.repeat(24), verdict: 'resumed', seq: 0, heartbeatMs: 60_000, maxBatch: 32, maxEventBytes: 65_536, ...data })
    },
    cut: () => { end() }
  }
}

const texts = (sent: Envelope[][]) => sent.flat().map(({ data, seq }) => `${seq} ${data as string}`)

t.test('what is not durable is sent again, under its numbers, before all else', async (t) => {
  const { client, sent, script, hello, cut } = scripted(t)
  await hello({ verdict: 'new' })
  script.answer = (envelopes) => ({ status: 202, seq: envelopes.at(-1)!.seq, known: 0, durable: Math.min(1, envelopes.at(-1)!.seq) })
  for (const text of ['a', 'b', 'c']) await client.emit('say', text)
  cut()
  await until(() => client.state === 'connecting', 'the next stream')
  const last = client.emit('say', 'd')
  sent.length = 0
  await hello({ verdict: 'gap', accepted: 1 })
  await last
  t.strictSame(texts(sent), ['2 b', '3 c', '4 d'])
})

t.test('what is durable is not', async (t) => {
  const { client, sent, script, hello, control, cut } = scripted(t)
  await hello({ verdict: 'new' })
  script.answer = (envelopes) => ({ status: 202, seq: envelopes.at(-1)!.seq, known: 0, durable: 0 })
  for (const text of ['a', 'b', 'c']) await client.emit('say', text)
  await control({ type: 'heartbeat', seq: 0, durable: 2 })
  await control({ type: 'heartbeat', seq: 0 })
  cut()
  sent.length = 0
  // An answer may overtake the hello of a stream.
  await hello({ accepted: 2 })
  await client.emit('say', 'd')
  t.strictSame(texts(sent), ['3 c', '4 d'])
  script.answer = (envelopes) => ({ status: 202, seq: envelopes.at(-1)!.seq, known: 0 })
  await client.emit('say', 'e')
  cut()
  sent.length = 0
  await hello({ accepted: 4 })
  await client.emit('say', 'f')
  t.strictSame(texts(sent), ['6 f'], 'an answer without a number: all is durable')
})

t.test('servers that say nothing of it get what they got before', async (t) => {
  const { client, sent, hello, cut } = scripted(t)
  await hello({ verdict: 'new' })
  await client.emit('say', 'a')
  await client.emit('say', 'b')
  cut()
  sent.length = 0
  await hello({ accepted: 1 })
  await client.emit('say', 'c')
  t.strictSame(texts(sent), ['3 c'])
})

t.test('kept events count in maxQueued', async (t) => {
  const { client, script, control, hello } = scripted(t, { maxQueued: 2 })
  await hello({ verdict: 'new' })
  script.answer = (envelopes) => ({ status: 202, seq: envelopes.at(-1)!.seq, known: 0, durable: 0 })
  await client.emit('say', 'a')
  await client.emit('say', 'b')
  await t.rejects(client.emit('say', 'c'), { code: 'TETHER_QUEUE_FULL' })
  await control({ type: 'heartbeat', seq: 0, durable: 1 })
  await t.resolves(client.emit('say', 'c'))
})

t.test('one that is refused when it is sent again goes to onError', async (t) => {
  const errors: unknown[] = []
  const { client, sent, script, hello, cut } = scripted(t, { onError: (error) => { errors.push(error) } })
  await hello({ verdict: 'new' })
  script.answer = (envelopes) => ({ status: 202, seq: envelopes.at(-1)!.seq, known: 0, durable: 0 })
  await client.emit('say', 'a')
  cut()
  script.answer = (envelopes) => envelopes[0]!.data === 'a' ? { status: 400, code: 'FST_ERR_VALIDATION', message: 'no such event' } : { status: 202, seq: envelopes.at(-1)!.seq, known: 0 }
  sent.length = 0
  await hello({ verdict: 'gap' })
  await client.emit('say', 'b')
  t.match(errors, [{ code: 'FST_ERR_VALIDATION' }])
  t.equal(texts(sent).at(-1), '1 b', 'its number is free')
})

t.test('another session gets none of them', async (t) => {
  const { client, sent, script, hello, cut } = scripted(t)
  await hello({ verdict: 'new' })
  script.answer = (envelopes) => ({ status: 202, seq: envelopes.at(-1)!.seq, known: 0, durable: 0 })
  await client.emit('say', 'a')
  cut()
  sent.length = 0
  await hello({ verdict: 'expired', session: 't'.repeat(24) })
  await client.emit('say', 'b')
  t.strictSame(texts(sent), ['1 b'])
})
