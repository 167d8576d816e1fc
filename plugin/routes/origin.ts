import type { FastifyRequest } from 'fastify'

const defaultPorts: Readonly<Record<string, string>> = { http: ':80', https: ':443' }

/**
 * Whether a request may come from where it says that it comes.
 *
 * `Sec-Fetch-Site` decides where the browser sends it; otherwise `Origin` must
 * name the host that was asked (as `trustProxy` has it). A request with neither is
 * no browser's. What is from elsewhere must be in `trusted`.
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

/** An origin of `trustedOrigins` as a browser names it in `Origin`. Only for what has no {@link originFault}. */
export function normalOrigin (origin: string): string {
  const { protocol, host } = new URL(origin)
  return `${protocol}//${host.toLowerCase()}`
}

/** Why no page's `Origin` can ever be this; null where one can, once it is made normal. */
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
