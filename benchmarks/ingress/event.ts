import { Type, type Static } from '@sinclair/typebox'

/** The event that both servers take. It has as many fields to check as an event from a control of a dashboard. */
export const eventName = 'range.set'

export const RangeSet = Type.Object({
  range: Type.Union([Type.Literal('1h'), Type.Literal('6h'), Type.Literal('24h')]),
  series: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 16 }),
  stepSeconds: Type.Integer({ minimum: 1, maximum: 3_600 })
}, { additionalProperties: false })

export type RangeSet = Static<typeof RangeSet>

export const rangeSet: RangeSet = { range: '6h', series: ['cpu.user', 'cpu.system', 'memory.used'], stepSeconds: 15 }

/** The event as the library's clients send it. */
export const envelope = JSON.stringify({ event: eventName, data: rangeSet })
