import { answer } from '../../../tune/process/child-endpoint.ts'
import { EventStreams, type StreamsOptions } from './event-streams.ts'

// A process of its own that holds event streams open and reads them.
const streams = new EventStreams()

const calls = {
  /** Opens more streams. Returns the sessions of all streams. */
  open: async (options: StreamsOptions): Promise<readonly string[]> => {
    await streams.open(options)
    return streams.sessions
  },
  /** Opens streams that close as soon as they have begun. */
  pass: async (options: StreamsOptions): Promise<void> => await streams.pass(options),
  openCount: (): number => streams.openCount
}

export type StreamClientCalls = typeof calls

answer(calls)
