import { Type, type Static } from '@sinclair/typebox'
import { defineContract, conflate } from 'fastify-tether'

export const seriesNames = ['cpu', 'cores', 'memory', 'network', 'disk', 'loop', 'load', 'heap', 'plugin'] as const

export type SeriesName = typeof seriesNames[number]

// One enum rather than a union of literals: a wrong name then gets one error, not nine.
const Series = Type.Unsafe<SeriesName>({ type: 'string', enum: seriesNames })

const PerSecond = Type.Integer({ minimum: 1, maximum: 100 })

const ChosenSeries = Type.Array(Series, { uniqueItems: true, maxItems: seriesNames.length })

const Count = Type.Integer({ minimum: 0 })

/**
 * What the numbers of a sample mean, by series:
 *
 * | series | numbers |
 * | --- | --- |
 * | `cpu` | busy % of all cores |
 * | `cores` | busy % of each core |
 * | `memory` | used bytes, available bytes |
 * | `network` | received, sent, over loopback: bytes a second |
 * | `disk` | read, written: bytes a second |
 * | `loop` | event-loop delay p50 ms, p99 ms, utilisation % |
 * | `load` | load average over 1, 5 and 15 minutes |
 * | `heap` | heap in use, resident set: bytes |
 * | `plugin` | sessions, streams, updates a second to all tabs |
 */
const Sample = Type.Object({
  series: Series,
  t: Type.Integer(),
  v: Type.Array(Type.Number())
})

const History = Type.Object({
  series: Series,
  t: Type.Array(Type.Integer()),
  v: Type.Array(Type.Array(Type.Number()))
})

const Settings = Type.Object({
  perSecond: PerSecond,
  series: ChosenSeries,
  paused: Type.Boolean()
})

const Host = Type.Object({
  name: Type.String(),
  system: Type.String(),
  processor: Type.String(),
  cores: Count,
  memoryBytes: Count,
  node: Type.String(),
  series: Type.Array(Series)
})

const Notice = Type.Object({
  text: Type.String(),
  from: Type.String(),
  t: Type.Integer()
})

// The server's figures of this tab's session; the page counts the rest itself.
const Stats = Type.Object({
  frames: Count,
  queued: Count,
  conflated: Count,
  commands: Count,
  stalled: Type.Boolean(),
  stalls: Count,
  stalledMs: Count
})

export type Settings = Static<typeof Settings>

export type Stats = Static<typeof Stats>

export const contract = defineContract({
  events: {
    'rate.set': Type.Object({ perSecond: PerSecond }),
    'series.set': Type.Object({ series: ChosenSeries }),
    pause: Type.Object({}),
    resume: Type.Object({}),
    'notice.send': Type.Object({ text: Type.String({ minLength: 1, maxLength: 200 }) }),
    // The page stops reading its stream, or goes on.
    'slow.begin': Type.Object({}),
    'slow.end': Type.Object({}),
    // The server destroys this tab's connection.
    'line.cut': Type.Object({})
  },
  updates: {
    sample: conflate(Sample, (sample) => sample.series),
    stats: conflate(Stats),
    settings: conflate(Settings),
    host: Host,
    history: History,
    notice: Notice,
    // Fills the buffers on the way to a page that has stopped reading.
    padding: Type.Object({ text: Type.String() }),
    // The answer to `slow.end`: all waiting updates came before it.
    'slow.over': Type.Object({})
  }
})
