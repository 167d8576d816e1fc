import { Type, type Static } from '@sinclair/typebox'
import { describe, expect, test } from 'tstyche'
import { conflate, defineContract, text, type ConflatedUpdate, type Contract, type EventData, type TextUpdate, type UpdateData } from '../../plugin/index.ts'

const Empty = Type.Object({})
const Sample = Type.Object({ series: Type.String(), t: Type.Integer(), v: Type.Number() })

describe('defineContract', () => {
  test('keeps the type of every schema', () => {
    const contract = defineContract({ events: { pause: Empty }, updates: { sample: Sample, row: text() } })
    expect(contract).type.toBe<Contract<{ pause: typeof Empty }, { sample: typeof Sample, row: TextUpdate }>>()
  })

  test('takes events alone, updates alone, or neither', () => {
    expect(defineContract({ events: { pause: Empty } })).type.toBe<Contract<{ pause: typeof Empty }, {}>>()
    expect(defineContract({ updates: { row: text() } })).type.toBe<Contract<{}, { row: TextUpdate }>>()
    expect(defineContract({})).type.toBe<Contract<{}, {}>>()
    expect(defineContract).type.not.toBeCallableWith()
    expect(defineContract).type.not.toBeCallableWith({ evnets: { pause: Empty } })
  })

  test('takes schemas for events, nothing else', () => {
    expect(defineContract).type.not.toBeCallableWith({ events: { pause: 'string' } })
    expect(defineContract).type.not.toBeCallableWith({ events: { pause: { type: 'object' } } })
    expect(defineContract).type.not.toBeCallableWith({ events: { pause: text() } })
    expect(defineContract).type.not.toBeCallableWith({ events: { pause: conflate(Sample) } })
    expect(defineContract).type.not.toBeCallableWith({ updates: { row: String } })
  })
})

describe('names', () => {
  test('of letters, digits, dot, underscore and hyphen pass', () => {
    expect(defineContract).type.toBeCallableWith({ events: { 'range.set': Empty, pause_2: Empty, 'a-B.c_9': Empty } })
    expect(defineContract).type.toBeCallableWith({ updates: { 'sample.cpu-0': Sample, v2: Sample } })
    expect(defineContract).type.toBeCallableWith({ updates: { opened: Empty, errors: Empty, messages: Empty, 'x.tether': Empty } })
  })

  test('of a browser\'s own events are refused', () => {
    expect(defineContract).type.not.toBeCallableWith({ updates: { open: Sample } })
    expect(defineContract).type.not.toBeCallableWith({ updates: { error: Sample } })
    expect(defineContract).type.not.toBeCallableWith({ updates: { message: text() } })
    expect(defineContract).type.not.toBeCallableWith({ events: { open: Empty } })
    expect(defineContract).type.not.toBeCallableWith({ events: { error: Empty } })
    expect(defineContract).type.not.toBeCallableWith({ events: { message: Empty } })
  })

  test('that begin with "tether" are refused', () => {
    expect(defineContract).type.not.toBeCallableWith({ updates: { tether: Sample } })
    expect(defineContract).type.not.toBeCallableWith({ updates: { 'tether.close': Sample } })
    expect(defineContract).type.not.toBeCallableWith({ events: { tethered: Empty } })
  })

  test('of the prototype\'s keys are refused', () => {
    expect(defineContract).type.not.toBeCallableWith({ updates: { constructor: Sample } })
    expect(defineContract).type.not.toBeCallableWith({ updates: { prototype: Sample } })
    expect(defineContract).type.not.toBeCallableWith({ updates: { toString: Sample } })
    expect(defineContract).type.not.toBeCallableWith({ events: { constructor: Empty } })
    expect(defineContract).type.not.toBeCallableWith({ events: { ['__proto__']: Empty } })
    expect(defineContract).type.not.toBeCallableWith({ events: { __proto__: Empty } })
    expect(defineContract).type.not.toBeCallableWith({ events: { hasOwnProperty: Empty } })
  })

  test('of other characters, of none and of 65 are refused', () => {
    expect(defineContract).type.not.toBeCallableWith({ updates: { 'two words': Sample } })
    expect(defineContract).type.not.toBeCallableWith({ updates: { 'line\nend': Sample } })
    expect(defineContract).type.not.toBeCallableWith({ updates: { 'a/b': Sample } })
    expect(defineContract).type.not.toBeCallableWith({ events: { café: Empty } })
    expect(defineContract).type.not.toBeCallableWith({ events: { '': Empty } })
    expect(defineContract).type.toBeCallableWith({
      events: { a234567890b234567890c234567890d234567890e234567890f234567890g234: Empty }
    })
    expect(defineContract).type.not.toBeCallableWith({
      events: { a234567890b234567890c234567890d234567890e234567890f234567890g2345: Empty }
    })
  })

  test('are told why they are refused', () => {
    defineContract({
      // @ts-expect-error is not assignable to type '"\"error\" is an event of the browser's own"'
      updates: { error: Sample }
    })
  })
})

describe('conflate', () => {
  test('gives the key function the data', () => {
    conflate(Sample, (sample) => {
      expect(sample).type.toBe<Static<typeof Sample>>()
      return sample.series
    })
    conflate(text(), (row) => {
      expect(row).type.toBe<string>()
      return row.length
    })
  })

  test('takes a schema or text(), and a key that is a string or a number', () => {
    expect(conflate(Sample)).type.toBe<ConflatedUpdate<typeof Sample>>()
    expect(conflate(text())).type.toBe<ConflatedUpdate<TextUpdate>>()
    expect(conflate).type.not.toBeCallableWith(conflate(Sample))
    expect(conflate).type.not.toBeCallableWith('sample')
    expect(conflate).type.not.toBeCallableWith(Sample, (sample: Static<typeof Sample>) => ({ series: sample.series }))
    expect(conflate).type.not.toBeCallableWith(Sample, (sample: { host: string }) => sample.host)
  })
})

describe('data', () => {
  test('of an update is that of its schema', () => {
    expect<UpdateData<typeof Sample>>().type.toBe<{ series: string, t: number, v: number }>()
    expect<UpdateData<ConflatedUpdate<typeof Sample>>>().type.toBe<{ series: string, t: number, v: number }>()
    expect<UpdateData<TextUpdate>>().type.toBe<string>()
    expect<UpdateData<ConflatedUpdate<TextUpdate>>>().type.toBe<string>()
  })

  test('of an event is that of its schema', () => {
    const { events } = defineContract({
      events: {
        'range.set': Type.Object({ range: Type.Union([Type.Literal('1h'), Type.Literal('24h')]), zoom: Type.Optional(Type.Integer()) }),
        move: Type.Tuple([Type.Number(), Type.Number()])
      }
    })
    expect(events).type.toHaveProperty('move')
    expect<EventData<typeof events['range.set']>>().type.toBe<{ range: '1h' | '24h', zoom?: number }>()
    expect<EventData<typeof events.move>>().type.toBe<[number, number]>()
  })

  test('is known for schemas that refer to themselves', () => {
    const Tree = Type.Recursive((This) => Type.Object({ name: Type.String(), children: Type.Array(This) }))
    const { events, updates } = defineContract({ events: { tree: Tree }, updates: { tree: Tree } })
    expect(events).type.toBe(updates)
    expect<EventData<typeof events.tree>>().type.toBe<Static<typeof Tree>>()
    expect<UpdateData<typeof updates.tree>>().type.toBe<Static<typeof Tree>>()
  })
})
