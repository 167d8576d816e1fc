import type { LibraryKind } from '../harness/process/library.ts'
import { countedHeaders, exactHeaders } from '../harness/streams/socket-stream.ts'

/** A way of serving streams that is measured. */
export interface Kind extends LibraryKind {
  readonly server: 'bare' | 'tether'
  readonly headers: Readonly<Record<string, string>>
}

export const baseline = 'bare'
const control = 'bare, control'

export const kinds: readonly Kind[] = [
  { name: baseline, server: 'bare', headers: exactHeaders },
  { name: control, server: 'bare', headers: exactHeaders },
  { name: 'tether, counted', server: 'tether', headers: countedHeaders },
  { name: 'tether, exact ids', server: 'tether', headers: exactHeaders }
]

/** Those that are measured a second time with another build of the library. */
export const comparableKinds = kinds.filter(({ server }) => server === 'tether')

/** Those that are loaded, too: with broadcasts that some do not read, and with streams that come and go. */
export const loadedKinds = kinds.filter(({ name }) => name !== control)
