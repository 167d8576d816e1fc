import t from 'tap'
import type { Link } from '../../client/index.ts'
import { advance, markedLink, settle } from '../../client/marked-link.ts'

t.test('a mark grows with requests that follow each other, and starts anew where they do not', async (t) => {
  const mark = { accepted: 4, doubtful: 0 }
  advance(mark, 4, 2)
  t.strictSame(mark, { accepted: 4, doubtful: 2 })
  advance(mark, 6, 3)
  t.strictSame(mark, { accepted: 4, doubtful: 5 }, 'behind a request that is on its way')
  advance(mark, 4, 1)
  t.strictSame(mark, { accepted: 4, doubtful: 5 }, 'sent again, in smaller parts')
  advance(mark, 10, 1)
  t.strictSame(mark, { accepted: 10, doubtful: 1 }, 'with a gap before it')
  advance(mark, 2, 1)
  t.strictSame(mark, { accepted: 2, doubtful: 1 }, 'of smaller numbers')
})

t.test('a settled event leaves the queue, and the mark if it was sent', async (t) => {
  const mark = { accepted: 4, doubtful: 1 }
  const waiting = [{ id: 'a' }, { id: 'b' }, { id: 'c' }]
  t.equal(settle(mark, waiting, 'b'), true)
  t.strictSame(mark, { accepted: 4, doubtful: 1 }, 'not sent: its number is free')
  t.equal(settle(mark, waiting, 'a'), true)
  t.strictSame(mark, { accepted: 5, doubtful: 0 })
  t.equal(settle(mark, waiting, 'a'), false, 'once only')
  t.strictSame(waiting, [{ id: 'c' }])
  t.strictSame(mark, { accepted: 5, doubtful: 0 })
})

t.test('a marked link notes events, and nothing else, before they leave', async (t) => {
  const steps: unknown[] = []
  const inner: Link = {
    open: async () => ({ status: 200 }),
    send: async (_claim, body) => {
      steps.push(body)
      return { status: 202 }
    }
  }
  const refusal = new Error('another page leads')
  const link = markedLink(() => inner, async (...sent: unknown[]) => {
    steps.push(sent)
    if (sent[0] === 'lost') throw refusal
  })('/live', { requestTimeoutMs: 1 })
  const claim = (session: string) => ({ session, seq: 0 })
  t.equal(link.open, inner.open)
  const one = '{"event":"say","data":{},"seq":5}'
  const two = `[${one},{"event":"say","data":{},"seq":6}]`
  for (const body of [one, two, '']) t.strictSame(await link.send(claim('s'), body, false), { status: 202 })
  await t.rejects(link.send(claim('lost'), one, false), refusal)
  t.strictSame(steps, [['s', 4, 1], one, ['s', 4, 2], two, '', ['lost', 4, 1]])
})
