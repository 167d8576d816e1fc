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

/** A contestant of this kind, with frames of one size that are broadcast one by one. */
export function partsOf (kind: BroadcastKind, streams: number, frameBytes = 200): ContestantParts {
  return { kind, module: new URL('server.ts', import.meta.url), unit: 'frame', burst: 1, frameBytes, streams }
}

/** Whether an absolute limit holds. */
export interface Outcome {
  readonly name: string
  readonly met: boolean
  readonly text: string
}

export function describeOutcome ({ name, met, text }: Outcome): string {
  return `${met ? 'MET' : 'MISSED'}: ${name}: ${text}`
}
