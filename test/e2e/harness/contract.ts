import { Type } from '@sinclair/typebox'
import { conflate, defineContract, text } from '../../../plugin/index.ts'

/** One of each kind, for tests that need no contract of their own. */
export const contract = defineContract({
  events: {
    ping: Type.Object({}),
    say: Type.Object({ text: Type.String() }),
    count: Type.Object({ to: Type.Integer() })
  },
  updates: {
    sample: conflate(Type.Object({ series: Type.String(), value: Type.Number() }), (sample) => sample.series),
    note: Type.Object({ text: Type.String() }),
    row: text()
  }
})

/** Handlers that do nothing, to be overridden. */
export const silent = { ping: () => {}, say: () => {}, count: () => {} }
