import t from 'tap'
import { writeAnswer } from '../../../plugin/routes/answer.ts'
import { BusyError, SequenceError, ValidationError } from '../../../schemas/errors.ts'

t.test('an answer goes out as it is', async (t) => {
  t.equal(writeAnswer({ seq: 7 }), '{"seq":7}')
  for (const answer of [{ seq: 0 }, { seq: -1 }, { seq: 1.5 }, { seq: 2 ** 53 }, { seq: NaN }, { seq: 'a"' }, { seq: null }, { seq: undefined }, {}, [], [1], { seq: 1, more: 2 }, { seq: 7, known: 2 }, { more: 1, seq: 2 }, { seq: 1, toJSON: () => 5 }, new Date(0), 'text', 5, true]) {
    t.equal(writeAnswer(answer), JSON.stringify(answer), 'as JSON has it')
  }
  t.equal(writeAnswer({ statusCode: 400, mine: { errors: 1 } }), '{"statusCode":400,"mine":{"errors":1}}', 'an error handler\'s too')
  t.equal(writeAnswer(null), 'null')
})

t.test('an error keeps what a client needs', async (t) => {
  t.same(JSON.parse(writeAnswer(new ValidationError([{ path: '/data', message: 'is required' }]))), {
    statusCode: 400, code: 'FST_ERR_VALIDATION', message: '/data is required', errors: [{ path: '/data', message: 'is required' }]
  })
  t.same(JSON.parse(writeAnswer(new SequenceError(7, 5))), {
    statusCode: 409, code: 'FST_ERR_TETHER_SEQUENCE', message: 'seq 7 skips: the next one due is 5', expected: 5
  })
  t.same(JSON.parse(writeAnswer(Object.assign(new BusyError(), { error: 'Too Many Requests' }))), {
    statusCode: 429, code: 'FST_ERR_TETHER_BUSY', error: 'Too Many Requests', message: 'The session\'s command channel is full'
  })
})

t.test('an error tells nothing else of itself', async (t) => {
  const error = Object.assign(new Error('broken', { cause: new Error('secret') }), { statusCode: 500, query: 'secret', errors: ['secret'], expected: 'secret' })
  t.equal(writeAnswer(error), '{"statusCode":500,"message":"broken"}')
})
