import t from 'tap'
import { ByteBudget } from '../../../plugin/delivery/byte-budget.ts'
import { Outbox } from '../../../plugin/delivery/outbox.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { Replies } from '../../../plugin/sessions/replies.ts'
import { replyFrame } from '../../../plugin/sessions/reply.ts'

function start (maxReplyBytes = 1e6, limit = Infinity) {
  const budget = new ByteBudget(limit)
  const outbox = new Outbox({ replayFrames: 0, replayBytes: 0, replayAgeMs: 0 }, budget)
  const replies = new Replies({ maxReplyBytes }, budget)
  const place = (frame: Frame) => {
    outbox.append(frame)
    return outbox.next - 1
  }
  return {
    budget,
    outbox,
    replies,
    place,
    reply (seq: number, json = '"x"') {
      const frame = replyFrame(seq, { status: 200, json })
      replies.begin()
      replies.end()
      replies.keep(seq, frame, place(frame))
      return frame
    }
  }
}

const text = (seq: number, json = '"x"') => `event: tether.reply\ndata: {"seq":${seq},"data":${json}}\n\n`
const lost = (seq: number) => `event: tether.reply\ndata: {"seq":${seq},"code":"TETHER_IN_DOUBT","message":"The request has run; its reply is lost"}\n\n`

t.test('a reply is kept until it is acknowledged, and counts once', async (t) => {
  const { budget, outbox, replies, reply } = start()
  const frame = reply(1)
  reply(2)
  t.equal(replies.size, 2)
  t.notOk(frame.isShared, 'its text is private')
  t.equal(budget.used, 2 * frame.bytes)
  outbox.wrote(3, 0)
  t.equal(outbox.first, 3, 'the outbox forgets what is written')
  t.equal(budget.used, 2 * frame.bytes)
  replies.acknowledge(1)
  t.equal(replies.size, 1)
  t.equal(budget.used, frame.bytes)
  t.ok(budget.others.has(replies))
  replies.clear()
  t.equal(budget.used, 0)
  t.notOk(budget.others.has(replies))
})

t.test('lost replies are sent again, in the order of the replies, as many as have a place', async (t) => {
  const { outbox, replies, reply, place } = start()
  for (const seq of [1, 2, 3, 4]) reply(seq)
  replies.miss(2, 5)
  t.ok(replies.hasLost)
  outbox.wrote(5, 0)
  let room = 2
  replies.sendLost((frame) => room-- > 0 ? place(frame) : 0)
  t.same(outbox.texts(outbox.first, outbox.next), [text(2), text(3)])
  t.notOk(outbox.at(5).isShared)
  t.ok(replies.hasLost)
  replies.acknowledge(6)
  t.equal(replies.size, 1)
  replies.sendLost(place)
  t.notOk(replies.hasLost)
  t.same(outbox.texts(7, 8), [text(4)])
  replies.acknowledge(7)
  t.equal(replies.size, 0)
})

t.test('beyond the bytes, the oldest has a stand-in; the newest is kept whole, however large', async (t) => {
  const { outbox, replies, reply, place, budget } = start(200)
  const large = `"${'y'.repeat(300)}"`
  reply(1)
  reply(2, large)
  reply(3, large)
  outbox.wrote(4, 0)
  replies.miss(0, 4)
  replies.sendLost(place)
  t.same(outbox.texts(4, 7), [lost(1), lost(2), text(3, large)])
  outbox.wrote(7, 0)
  replies.acknowledge(6)
  t.equal(budget.used, 0)
})

t.test('where memory is short, replies have stand-ins', async (t) => {
  const { outbox, replies, reply, place } = start()
  const large = `"${'y'.repeat(3_000)}"`
  const frame = reply(1, large)
  reply(2, large)
  reply(3, large)
  outbox.wrote(4, 0)
  t.ok(replies.heldWeight > 9_000)
  replies.shed(4_000)
  t.ok(replies.heldWeight <= 4_000, `${replies.heldWeight} bytes`)
  replies.letGo(frame)
  replies.miss(0, 4)
  replies.sendLost(place)
  t.same(outbox.texts(4, 7), [lost(1), lost(2), text(3, large)])
})

t.test('a snapshot continues elsewhere', async (t) => {
  const one = start()
  for (const seq of [4, 5, 6]) one.reply(seq)
  one.replies.miss(2, 3)
  const snapshot = JSON.parse(JSON.stringify(one.replies.snapshot()))
  const other = start()
  other.replies.restore(snapshot)
  t.same(other.replies.snapshot(), one.replies.snapshot())
  t.equal(other.replies.size, 3)
  other.replies.sendLost(other.place)
  t.same(other.outbox.texts(1, 2), [text(5)])
  other.replies.acknowledge(3)
  t.equal(other.replies.size, 0)
})
