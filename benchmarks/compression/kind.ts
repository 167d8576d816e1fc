import type { BroadcastKind } from '../harness/broadcast/contestant.ts'
import { countedHeaders, exactHeaders } from '../harness/streams/socket-stream.ts'

const gzip = { 'accept-encoding': 'gzip' }
const brotli = { 'accept-encoding': 'br' }

export const identity = 'identity'
export const control = 'identity again'
export const shared = 'shared gzip'
export const floor = 'gzip floor'
export const each = 'gzip for each'

export const kinds: readonly BroadcastKind[] = [
  { name: identity, server: 'tether', headers: countedHeaders },
  { name: control, server: 'tether', headers: countedHeaders },
  { name: shared, server: 'tether', headers: { ...countedHeaders, ...gzip } },
  { name: floor, server: floor, headers: { ...exactHeaders, ...gzip } },
  { name: each, server: 'gzip each', headers: { ...exactHeaders, ...gzip } }
]

/** Kinds that are measured a second time with another build of the library. */
export const comparableKinds = kinds.filter(({ name }) => name === identity || name === shared)

/** All kinds: also readers with exact ids, and a compressor for each stream. */
export const moreKinds: readonly BroadcastKind[] = [
  { name: 'own gzip', server: 'tether', compression: { own: 'all' }, headers: { ...countedHeaders, ...gzip } },
  { name: 'own brotli', server: 'tether', compression: { own: 'all', encodings: ['br'] }, headers: { ...countedHeaders, ...brotli } },
  { name: 'exact ids, identity', server: 'tether', headers: exactHeaders },
  { name: 'exact ids, shared gzip', server: 'tether', headers: { ...exactHeaders, ...gzip } },
  { name: 'exact ids, own gzip', server: 'tether', compression: { own: 'uncounted' }, headers: { ...exactHeaders, ...gzip } }
]
