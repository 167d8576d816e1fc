import type { FastifyRequest } from 'fastify'

const defaultPorts: Readonly<Record<string, string>> = { http: ':80', https: ':443' }

/**
 * Whether a request's origin is allowed.
 *
 * If the browser sends `Sec-Fetch-Site`, that header decides. Otherwise `Origin` must name the
 * request's host (by `trustProxy`). A request with neither header is from no browser, and is
 * allowed. Any other origin must be in `trusted`.
 *
 * @param trusted origins as {@link normalOrigin} gives them
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
export function originAllowed (request: FastifyRequest, trusted: ReadonlySet<string>): boolean {
  const { origin } = request.headers
  const site = request.headers['sec-fetch-site']
  if (site === 'same-origin' || site === 'none') return true
  if (site === undefined) {
    if (origin === undefined) return true
    if (isOwnHost(origin, request.host)) return true
  }
  return origin !== undefined && trusted.size > 0 && trusted.has(withoutDefaultPort(origin.toLowerCase()))
}

/** Writes an origin of `trustedOrigins` like a browser does in `Origin`. Only for values without an {@link originFault}. */
export function normalOrigin (origin: string): string {
  const { protocol, host } = new URL(origin)
  return `${protocol}//${host.toLowerCase()}`
}

/** Says why no page's `Origin` can equal a value; null for a value that can match once normalised. */
export function originFault (origin: unknown): string | null {
  if (typeof origin !== 'string') return 'is no string'
  if (origin.includes('*')) return 'has a wildcard, which matches nothing: list each origin'
  if (origin.toLowerCase() === 'null') return 'is what every sandboxed frame and every file has for an origin, and cannot be trusted'
  const parts = /^([a-z][a-z0-9+.-]*):\/\/([^/?#\\\s]*)(.*)$/is.exec(origin)
  if (parts === null) return 'has no scheme: write "https://" before the host'
  const [, scheme = '', authority = '', rest] = parts
  if (rest !== '') return 'has more than a scheme, a host and a port: leave out what follows, a slash too'
  if (authority === '') return 'has no host'
  if (authority.includes('@')) return 'names a user, which no origin has'
  if (/^(wss?|ftp|file)$/i.test(scheme)) return `is no page's origin: those of "${scheme.toLowerCase()}:" have another, or none`
  if (!URL.canParse(origin)) return 'has a host or a port that cannot be'
  const { hostname } = new URL(origin)
  if (hostname.startsWith('.')) return 'begins with a dot, which matches no other host: list each origin'
  return null
}

function isOwnHost (origin: string, host: string): boolean {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]+)$/.exec(origin.toLowerCase())
  if (match === null) return false
  const port = defaultPorts[match[1]!]
  return withoutPort(match[2]!, port) === withoutPort(host.toLowerCase(), port)
}

function withoutDefaultPort (origin: string): string {
  return withoutPort(origin, defaultPorts[origin.slice(0, origin.indexOf(':'))])
}

function withoutPort (host: string, port: string | undefined): string {
  return port !== undefined && host.endsWith(port) ? host.slice(0, -port.length) : host
}
