import t from 'tap'
import { errorTable } from '../../../schemas/error-table.ts'
import * as errors from '../../../schemas/errors.ts'

type ErrorClass = new (...args: never[]) => Error & { code: string, statusCode: number }

/** What each class is made with. */
const made: Record<string, Error & { code: string, statusCode: number }> = {}
for (const [name, value] of Object.entries(errors)) {
  const Class = value as unknown as ErrorClass
  const args: unknown[] = name === 'ValidationError' ? [[{ path: '/data/x', message: 'must be number' }, { path: '', message: 'is bad' }]] : name === 'SequenceError' ? [7, 5] : ['some words', 30]
  made[name] = new Class(...args as never[])
}

t.test('each class is in the table, and the table has no other', async (t) => {
  const codes = Object.values(made).map(({ code }) => code)
  t.equal(new Set(codes).size, codes.length, 'no two have one code')
  t.same(codes.sort(), Object.keys(errorTable).sort())
  for (const [name, error] of Object.entries(made)) {
    t.equal(error.statusCode, errorTable[error.code as keyof typeof errorTable], name)
    t.match(error.code, name === 'ValidationError' ? 'FST_ERR_VALIDATION' : /^FST_ERR_TETHER_[A-Z_]+$/)
    t.match(error, { name: 'FastifyError', message: /./ })
    t.notMatch(error.message, /%[sd]/, 'its message is filled in')
    t.ok(error instanceof Error)
  }
  t.ok(Object.isFrozen(errorTable))
})

t.test('a mistake in a call is a TypeError', async (t) => {
  for (const name of ['ArgumentError', 'ContractError', 'FrameError', 'OptionError', 'SerializationError', 'UnknownUpdateError']) t.ok(made[name] instanceof TypeError, name)
  for (const [name, { statusCode }] of Object.entries(made)) if (statusCode !== 500) t.notOk(made[name] instanceof TypeError, name)
})

t.test('errors that say more', async (t) => {
  const validation = new errors.ValidationError([{ path: '/data/x', message: 'must be number' }, { path: '', message: 'names no session' }])
  t.equal(validation.message, '/data/x must be number; names no session')
  t.same(validation.errors, [{ path: '/data/x', message: 'must be number' }, { path: '', message: 'names no session' }])
  const sequence = new errors.SequenceError(7, 5)
  t.equal(sequence.expected, 5)
  t.equal(sequence.message, 'seq 7 skips: the next one due is 5')
})

t.test('answers carry no stack, which costs much under load; errors for the application do', async (t) => {
  for (const [name, { statusCode, stack }] of Object.entries(made)) t.equal(/\n +at /.test(stack ?? ''), statusCode === 500 || statusCode === 499, name)
})
