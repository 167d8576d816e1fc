export interface Kind {
  readonly name: string
  readonly server: 'tether' | 'gzip each'
  /** Of `app.tether.sse.upgrade`, where the default is not what is meant. */
  readonly compression?: object
  readonly headers: Record<string, string>
}

const counted = { Accept: 'text/event-stream', 'X-Tether-Session': 'new' }
const exact = { Accept: 'text/event-stream' }
const gzip = { 'Accept-Encoding': 'gzip' }

export const identity = 'identity'
export const control = 'identity again'
export const shared = 'shared gzip'
export const each = 'gzip for each'

export const kinds: readonly Kind[] = [
  { name: identity, server: 'tether', headers: counted },
  { name: control, server: 'tether', headers: counted },
  { name: shared, server: 'tether', headers: { ...counted, ...gzip } },
  { name: each, server: 'gzip each', headers: { ...exact, ...gzip } }
]

/** Beside these, what readers with exact ids get, and what a compressor of each stream's own makes of it. */
export const moreKinds: readonly Kind[] = [
  { name: 'own gzip', server: 'tether', compression: { own: 'all' }, headers: { ...counted, ...gzip } },
  { name: 'own brotli', server: 'tether', compression: { own: 'all', encodings: ['br'] }, headers: { ...counted, 'Accept-Encoding': 'br' } },
  { name: 'exact ids, identity', server: 'tether', headers: exact },
  { name: 'exact ids, shared gzip', server: 'tether', headers: { ...exact, ...gzip } },
  { name: 'exact ids, own gzip', server: 'tether', compression: { own: 'uncounted' }, headers: { ...exact, ...gzip } }
]
