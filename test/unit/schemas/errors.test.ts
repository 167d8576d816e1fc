import t from 'tap'
import * as errors from '../../../schemas/errors.ts'

type ErrorClass = new (...args: never[]) => Error & { code: string, statusCode: number }

/** What each class is made with. */
const made: Record<string, Error & { code: string, statusCode: number }> = {}
for (const [name, value] of Object.entries(errors)) {
  if (typeof value !== 'function' || !(value.prototype instanceof Error)) continue
  const Class = value as ErrorClass
  const args: unknown[] = name === 'ValidationError' ? [[{ path: '/data/x', message: 'must be number' }, { path: '', message: 'is bad' }]] : name === 'SequenceError' ? [7, 5] : ['some words', 30]
  made[name] = new Class(...args as never[])
}

t.test('each class is in the table, and the table has no other', async (t) => {
  const codes = Object.values(made).map(({ code }) => code)
  t.equal(new Set(codes).size, codes.length, 'no two have one code')
  t.same(codes.sort(), Object.keys(errors.errorTable).sort())
  for (const [name, error] of Object.entries(made)) {
    t.equal(error.statusCode, errors.errorTable[error.code as keyof typeof errors.errorTable], name)
    t.match(error.code, name === 'ValidationError' ? 'FST_ERR_VALIDATION' : /^FST_ERR_TETHER_[A-Z_]+$/)
    t.match(error, { name: 'FastifyError', message: /./ })
    t.notMatch(error.message, /%[sd]/, 'its message is filled in')
    t.ok(error instanceof Error)
  }
  t.ok(Object.isFrozen(errors.errorTable))
})

/** What a request may be answered with, as the protocol has it. */
const answers = {
  FST_ERR_VALIDATION: 400,
  FST_ERR_TETHER_NO_WEBSOCKET: 400,
  FST_ERR_TETHER_ORIGIN: 403,
  FST_ERR_TETHER_BINDING: 403,
  FST_ERR_TETHER_SESSION_NOT_FOUND: 404,
  FST_ERR_TETHER_NOT_ACCEPTABLE: 406,
  FST_ERR_TETHER_SEQUENCE: 409,
  FST_ERR_TETHER_SESSION_CLOSED: 410,
  FST_ERR_TETHER_UPGRADE_REQUIRED: 426,
  FST_ERR_TETHER_BUSY: 429,
  FST_ERR_TETHER_SESSION_LIMIT: 503,
  FST_ERR_TETHER_DRAINING: 503
}

t.test('statuses of answers', async (t) => {
  t.match(errors.errorTable, answers)
  const others = Object.entries(errors.errorTable).filter(([code]) => !(code in answers)).map(([, status]) => status)
  // 499: the client has left, so nobody gets it.
  t.same(others.filter((status) => status !== 500 && status !== 499), [], 'the others answer no request')
})

t.test('what an application did wrong is a TypeError', async (t) => {
  const typeErrors = Object.entries(made).filter(([, error]) => error instanceof TypeError).map(([name]) => name)
  t.same(typeErrors.sort(), ['ArgumentError', 'ContractError', 'FrameError', 'OptionError', 'SerializationError', 'UnknownUpdateError'])
})

t.test('errors that say more', async (t) => {
  const validation = new errors.ValidationError([{ path: '/data/x', message: 'must be number' }, { path: '', message: 'names no session' }])
  t.equal(validation.message, '/data/x must be number; names no session')
  t.same(validation.errors, [{ path: '/data/x', message: 'must be number' }, { path: '', message: 'names no session' }])
  const sequence = new errors.SequenceError(7, 5)
  t.equal(sequence.expected, 5)
  t.equal(sequence.message, 'seq 7 skips: the next one due is 5')
})

t.test('answers carry no stack, which costs much under load; mistakes of an application do', async (t) => {
  for (const [name, { code, stack }] of Object.entries(made)) t.equal(/\n +at /.test(stack ?? ''), !(code in answers), name)
})
