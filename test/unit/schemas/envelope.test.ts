import { Type } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import t from 'tap'
import { acceptedSchema, envelopeSchema, refusalSchema } from '../../../schemas/envelope.ts'
import { BusyError, SequenceError, ValidationError } from '../../../schemas/errors.ts'

const ajv = new Ajv()
const events = { pause: Type.Object({}), count: Type.Integer() }

t.test('the API document shows what a body may be', async (t) => {
  const accepts = ajv.compile(envelopeSchema(events, 2))
  for (const body of [
    { event: 'pause', data: {} },
    { event: 'count', data: 5, seq: 1 },
    [{ event: 'pause', data: {} }],
    [{ event: 'pause', data: {} }, { event: 'count', data: 5 }]
  ]) t.equal(accepts(body), true, JSON.stringify(body))
  for (const body of [
    null, {}, [], 'pause',
    { event: 'pause' },
    { event: 'pause', data: 5 },
    { event: 'no', data: {} },
    { event: 'pause', data: {}, more: 1 },
    { event: 'pause', data: {}, seq: 0 },
    new Array(3).fill({ event: 'pause', data: {} })
  ]) t.equal(accepts(body), false, JSON.stringify(body))
})

t.test('one event needs no union', async (t) => {
  const schema = envelopeSchema({ pause: Type.Object({}) }, 2)
  t.match(schema, { anyOf: [{ title: 'pause', properties: { event: { const: 'pause' } } }, { type: 'array', maxItems: 2 }] })
})

t.test('and what the answers are', async (t) => {
  t.equal(ajv.compile(acceptedSchema)({ seq: 7 }), true)
  t.equal(ajv.compile(acceptedSchema)({}), false)
  const isRefusal = ajv.compile(refusalSchema)
  for (const error of [new ValidationError([{ path: '', message: 'x' }]), new SequenceError(2, 1), new BusyError()]) {
    const { statusCode, code, message } = error
    t.equal(isRefusal({ ...error, statusCode, code, message, error: 'Bad Request' }), true, code)
  }
  t.equal(isRefusal({ errors: ['x'] }), false)
})
