import { deepStrictEqual, equal } from 'node:assert/strict'
import { Type } from '@sinclair/typebox'
import fc from 'fast-check'
import t from 'tap'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { readEnvelopes, readEventData, readOpening } from '../../../plugin/contract/envelope-reader.ts'
import { defineContract } from '../../../schemas/contract.ts'
import type { Fault } from '../../../schemas/errors.ts'

const contract = CompiledContract.of(defineContract({
  events: {
    'range.set': Type.Object({ range: Type.Union([Type.Literal('1h'), Type.Literal('24h')]) }),
    pause: Type.Object({}),
    limit: Type.Object({ to: Type.Integer() }),
    count: Type.Integer(),
    nothing: Type.Null()
  }
}))
const silent = CompiledContract.of(defineContract({}))
const known = '"range.set", "pause", "limit", "count", "nothing"'

function read (body: unknown, maxBatch = 3) {
  const faults: Fault[] = []
  const events = readEnvelopes(body, contract, maxBatch, faults)
  return { events, faults: faults.map(({ path, message }) => `${path} ${message}`) }
}

t.test('an envelope', async (t) => {
  t.same(read({ event: 'pause', data: {} }), { events: [{ name: 'pause', data: {}, seq: 0 }], faults: [] })
  t.same(read({ event: 'range.set', data: { range: '1h' }, seq: 7 }), { events: [{ name: 'range.set', data: { range: '1h' }, seq: 7 }], faults: [] })
  t.same(read({ event: 'nothing', data: null }).events, [{ name: 'nothing', data: null, seq: 0 }], 'null is data')
  t.same(read({ event: 'count', data: 0, seq: Number.MAX_SAFE_INTEGER }).events, [{ name: 'count', data: 0, seq: Number.MAX_SAFE_INTEGER }])
})

t.test('an array of them', async (t) => {
  t.same(read([{ event: 'pause', data: {} }, { event: 'count', data: 1, seq: 1 }]), {
    events: [{ name: 'pause', data: {}, seq: 0 }, { name: 'count', data: 1, seq: 1 }],
    faults: []
  })
  t.same(read([]).faults, [' must hold 1 to 3 events, holds 0'])
  t.equal(read(new Array(3).fill({ event: 'pause', data: {} })).faults.length, 0)
  t.same(read(new Array(4).fill({ event: 'pause', data: {} })).faults, [' must hold 1 to 3 events, holds 4'])
  t.same(read([[{ event: 'pause', data: {} }]]).faults, ['/0 must be an object with "event" and "data"'], 'not of arrays')
})

t.test('what is no envelope', async (t) => {
  const rows: Array<[body: unknown, faults: string[]]> = [
    [undefined, [' must be an object with "event" and "data"']],
    [null, [' must be an object with "event" and "data"']],
    ['pause', [' must be an object with "event" and "data"']],
    [{}, ['/data is required', '/event is required']],
    [{ event: 'pause' }, ['/data is required']],
    [{ data: {} }, ['/event is required']],
    [{ event: 5, data: {} }, ['/event must be string']],
    [{ event: null, data: {} }, ['/event must be string']],
    [{ event: 'Pause', data: {} }, [`/event must be one of ${known}`]],
    [{ event: '', data: {} }, [`/event must be one of ${known}`]],
    [{ event: 'constructor', data: {} }, [`/event must be one of ${known}`]],
    [{ event: '__proto__', data: {} }, [`/event must be one of ${known}`]],
    [{ event: 'tether.close', data: {} }, [`/event must be one of ${known}`]],
    [{ event: 'range.set', data: { range: '2h' } }, ['/data/range must be one of "1h", "24h"']],
    [{ event: 'range.set', data: { range: '1h', more: 1 } }, ['/data/more is not known here']],
    [{ event: 'count', data: '1' }, ['/data must be integer']],
    [{ event: 'limit', data: { to: '1' } }, ['/data/to must be integer']],
    [{ event: 'count', data: Infinity }, ['/data must be integer']],
    [{ event: 'pause', data: {}, more: 1 }, ['/more is not known here']],
    [JSON.parse('{"event":"pause","data":{},"__proto__":{},"constructor":1}'), ['/__proto__ is not known here', '/constructor is not known here']],
    [{ event: 'pause', data: {}, 'a/b~': 1 }, ['/a~1b~0 is not known here']],
    ...[0, -1, 1.5, '1', null, NaN, Infinity, 2 ** 53].map((seq): [unknown, string[]] => [{ event: 'pause', data: {}, seq }, ['/seq must be a whole number from 1']])
  ]
  for (const [body, faults] of rows) t.same(read(body).faults, faults, JSON.stringify(body))
})

t.test('every fault of a batch is named, with its place', async (t) => {
  t.same(read([{ event: 'pause', data: {} }, { event: 'no', data: {}, seq: 0 }, { event: 'range.set', data: {}, x: 1 }]).faults, [
    '/1/seq must be a whole number from 1',
    `/1/event must be one of ${known}`,
    '/2/x is not known here',
    '/2/data/range is required'
  ])
})

t.test('a session that takes no events says so', async (t) => {
  const faults: Fault[] = []
  t.same(readEnvelopes({ event: 'x', data: 1 }, silent, 3, faults), [])
  t.same(faults, [{ path: '/event', message: 'is not known: this session takes no events' }])
})

t.test('the bare data of one event', async (t) => {
  const rows: Array<[name: string, data: unknown, coerce: boolean, faults: string[], result?: unknown]> = [
    ['pause', {}, false, [], {}],
    ['count', 5, false, [], 5],
    ['nothing', null, false, [], null],
    ['range.set', { range: '1h' }, true, [], { range: '1h' }],
    ['range.set', { range: 'x', y: '1' }, true, ['/range must be one of "1h", "24h"', '/y is not known here']],
    ['count', '5', false, [' must be integer']],
    ['limit', { to: '5' }, false, ['/to must be integer']],
    ['limit', { to: '5' }, true, [], { to: 5 }],
    ['pause', null, false, [' must be object']],
    ['no', {}, false, [` the event of the URL must be one of ${known}`]],
    ['constructor', {}, true, [` the event of the URL must be one of ${known}`]]
  ]
  for (const [name, data, coerce, expected, result] of rows) {
    const faults: Fault[] = []
    const events = readEventData(name, data, coerce, contract, faults)
    t.same(faults.map(({ path, message }) => `${path} ${message}`).sort(), expected, name)
    t.strictSame(events, expected.length === 0 ? [{ name, data: result, seq: 0 }] : [])
  }
})

t.test('whatever is posted: either faults, or all of its events', async (t) => {
  const envelope = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.record({
      event: fc.constantFrom('pause', 'count', 'range.set', 'no', 5),
      data: fc.constantFrom({}, 5, { range: '1h' }, null),
      seq: fc.constantFrom(1, 2, 0, 'x'),
      more: fc.constant(1)
    }, { requiredKeys: ['event'] }),
    fc.constant({ event: 'pause', data: {} })
  )
  fc.assert(fc.property(fc.oneof(envelope, fc.array(envelope, { maxLength: 4 })), (body) => {
    const { events, faults } = read(body)
    const count = Array.isArray(body) ? body.length : 1
    if (faults.length === 0) equal(events.length, count)
    else if (Array.isArray(body) && body.length > 0 && body.length <= 3) {
      // Each one is judged by itself.
      deepStrictEqual(faults, body.flatMap((envelope, index) => read([envelope]).faults.map((fault) => fault.replace(/^\/0/, `/${index}`))))
    }
  }), { numRuns: 500 })
  t.pass('for any body')
})

t.test('the first message of a WebSocket', async (t) => {
  const opening = (body: unknown) => {
    const faults: Fault[] = []
    return { opening: readOpening(body, faults), faults: faults.map(({ path, message }) => `${path} ${message}`) }
  }
  t.same(opening({ session: 'new' }), { opening: { session: 'new', lastEventId: null }, faults: [] })
  t.same(opening({ session: 'x', lastEventId: 'x.1' }), { opening: { session: 'x', lastEventId: 'x.1' }, faults: [] })
  for (const [body, ...faults] of [
    [null, ' must be an object with "session"'],
    [[], ' must be an object with "session"'],
    ['new', ' must be an object with "session"'],
    [{}, '/session is required'],
    [{ session: '' }, '/session must be "new" or the id of a session'],
    [{ session: 5, lastEventId: 5, 'a/b~': 1 }, '/a~1b~0 is not known here', '/session must be "new" or the id of a session', '/lastEventId must be string'],
    [{ session: 'new', lastEventId: null }, '/lastEventId must be string']
  ] as Array<[unknown, ...string[]]>) t.same(opening(body), { opening: null, faults }, JSON.stringify(body))
})
