import type { BroadcastKind, ContestantParts } from '../harness/broadcast/contestant.ts'
import { countedHeaders, exactHeaders } from '../harness/streams/socket-stream.ts'

export const baseline = 'bare'
const control = 'bare, control'

export const kinds: readonly BroadcastKind[] = [
  { name: baseline, server: 'bare', headers: exactHeaders },
  { name: control, server: 'bare', headers: exactHeaders },
  { name: 'tether, counted', server: 'tether', headers: countedHeaders },
  { name: 'tether, exact ids', server: 'tether', headers: exactHeaders }
]

/** Kinds that are measured a second time with another build of the library. */
export const comparableKinds = kinds.filter(({ server }) => server === 'tether')

/** Kinds that are also measured under load: broadcasts that some readers do not read, and streams that open and close. */
export const loadedKinds = kinds.filter(({ name }) => name !== control)

/** A contestant of this kind, by default with frames of 200 bytes that are broadcast one by one. */
export function partsOf (kind: BroadcastKind, streams: number, more: Partial<ContestantParts> = {}): ContestantParts {
  return { kind, module: new URL('server.ts', import.meta.url), unit: 'frame', burst: 1, frameBytes: 200, streams, ...more }
}
