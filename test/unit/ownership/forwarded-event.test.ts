import t from 'tap'
import { BindingError, BusyError, SchemaError, SequenceError, ValidationError } from '../../../schemas/errors.ts'
import { detailsOf } from '../../../schemas/error-details.ts'
import { seal, unseal } from '../../../plugin/ownership/claim-seal.ts'
import { readReply } from '../../../plugin/ownership/forwarded-replies.ts'
import { packOutcome, packSubmission, readOutcome, readSubmission } from '../../../plugin/ownership/forwarded-event.ts'
import { refusedFor, type Outcome } from '../../../plugin/sessions/acceptance.ts'

const id = 'a'.repeat(24)
const submission = { event: 'say', body: { text: 'ä\u2028', list: [1, null] }, isForm: true, bytes: 12, sender: 'one', lastEventId: `${id}.7` }
const carried = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

t.test('a submission arrives as it was, without the id of its session', async (t) => {
  const { lastEventId, ...rest } = submission
  const packed = packSubmission(id, submission)
  t.notOk(JSON.stringify(packed).includes(id))
  t.strictSame(readSubmission(carried(packed)), { ...rest, acknowledged: 7, replyTo: null })
  for (const other of [undefined, 'no', `${'b'.repeat(24)}.7`, `${id}.taken`]) t.equal(packSubmission(id, { ...submission, lastEventId: other }).acknowledged, null)
})

t.test('what is no submission is refused', async (t) => {
  const packed = packSubmission(id, submission)
  for (const wrong of [null, [], 'x', { ...packed, event: 5 }, { ...packed, sender: {} }, { ...packed, isForm: 'yes' }, { ...packed, bytes: -1 }, { ...packed, acknowledged: 1.5 }, { ...packed, replyTo: 'x' }]) t.equal(readSubmission(wrong), null)
})

t.test('an outcome comes back as it was: status, code, message and details', async (t) => {
  const errors = [new BindingError(), new BusyError(), new SequenceError(5, 3), new ValidationError([{ path: '/data', message: 'is no text' }]), new SchemaError('say', '/data', new Error('secret'))]
  for (const error of errors) {
    const refused = refusedFor(error)
    const text = JSON.stringify(packOutcome(refused))
    t.notOk(text.includes('secret'))
    const read = readOutcome(JSON.parse(text)) as Exclude<Outcome, { isAccepted: true }>
    t.match(read, { isAccepted: false, status: refused.status })
    t.equal(read.retryAfter, refused.retryAfter)
    t.match(read.error, { code: error.code, statusCode: error.statusCode, message: error.message })
    t.strictSame(detailsOf(read.error), detailsOf(error))
  }
  const accepted = { isAccepted: true, status: 202, seq: 4, known: 1 } as const
  t.strictSame(readOutcome(carried(packOutcome(accepted))), accepted)
})

t.test('what is no outcome is refused', async (t) => {
  for (const wrong of [null, [], {}, { isAccepted: true, status: 202 }, { isAccepted: true, status: 99, seq: 1, known: 0 }, { isAccepted: false, status: 400 }, { isAccepted: 'no', status: 400, message: 'x' }]) t.equal(readOutcome(wrong), null)
})

t.test('a reply of another node is one that a client can read, or none', async (t) => {
  for (const reply of [{ status: 200, json: '1' }, { status: 422, json: '{"code":"X","message":"x"}' }, null]) t.same(readReply(reply), reply)
  for (const wrong of [undefined, [], 'x', { status: 201, json: '1' }, { status: 200, json: '{' }, { status: 200, json: 1 }, { status: 422, json: '1' }, { status: 500 }]) t.equal(readReply(wrong), undefined)
})

t.test('only the claim opens the id of its session', async (t) => {
  const claim = 'c'.repeat(24)
  const sealed = seal(claim, id)
  t.equal(unseal(claim, sealed), id)
  t.notOk(sealed.includes(id))
  t.equal(unseal('d'.repeat(24), sealed), null)
  sealed[0]! ^= 1
  t.equal(unseal(claim, sealed), null)
  t.equal(unseal(claim, Buffer.alloc(3)), null)
})
