import { Type, type Static } from '@sinclair/typebox'
import { conflate, defineContract, request, topic } from 'fastify-tether'

export const seriesNames = ['cpu', 'cores', 'memory', 'network', 'disk', 'loop', 'load', 'heap', 'plugin'] as const

export type SeriesName = typeof seriesNames[number]

// One enum rather than a union of literals: a wrong name then gets one error, not nine.
const Series = Type.Unsafe<SeriesName>({ type: 'string', enum: seriesNames })

const Count = Type.Integer({ minimum: 0 })

/**
 * What the numbers of a reading mean, by series:
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
const Reading = Type.Object({ t: Type.Integer(), v: Type.Array(Type.Number()) })

const Host = Type.Object({
  name: Type.String(),
  system: Type.String(),
  processor: Type.String(),
  cores: Count,
  memoryBytes: Count,
  node: Type.String(),
  series: Type.Array(Series),
  // Name of the node that has this tab's session, where there are several.
  holder: Type.Optional(Type.String())
})

// Fields of `app.tether.cluster.nodes()`.
const Nodes = Type.Array(Type.Object({ name: Type.String(), sessions: Count, draining: Type.Boolean() }))
const OneNode = Type.Object({ name: Type.String() })

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

export type Stats = Static<typeof Stats>

export const contract = defineContract({
  events: {
    // The reply says how many tabs get it.
    'notice.send': request(Type.Object({ text: Type.String({ minLength: 1, maxLength: 200 }) }), Type.Object({ tabs: Count })),
    // The page stops reading its stream, or goes on. The reply comes behind all updates that waited.
    'slow.begin': Type.Object({}),
    'slow.end': request(Type.Object({}), Stats),
    // The server destroys this tab's connection.
    'line.cut': Type.Object({}),
    // Only where there are several nodes: a new one takes the place of this one, at once or after its process was killed.
    'node.replace': OneNode,
    'node.kill': OneNode
  },
  updates: {
    stats: conflate(Stats),
    host: Host,
    notice: Notice,
    // Fills the buffers on the way to a page that has stopped reading.
    padding: Type.Object({ text: Type.String() })
  },
  topics: {
    // All nodes, as the one that has this tab's session knows them.
    nodes: topic({ updates: { list: conflate(Nodes) } }),
    series: topic({
      params: Type.Object({ name: Series, perSecond: Type.Integer({ minimum: 1, maximum: 100 }) }),
      updates: {
        // Only the newest counts.
        sample: conflate(Reading),
        // One reading a second: the last minute for who comes, and each that a tab has missed.
        kept: conflate(Reading, ({ t }) => Math.round(t / 1000) % 60)
      }
    })
  }
})
