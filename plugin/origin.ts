import type { FastifyRequest } from 'fastify'

const defaultPorts: Readonly<Record<string, string>> = { http: ':80', https: ':443' }

/**
 * Whether a request may come from where it says that it comes.
 *
 * `Sec-Fetch-Site` decides where the browser sends it; otherwise `Origin` must
 * name the host that was asked (as `trustProxy` has it). A request with neither is
 * no browser's. What is from elsewhere must be in `trusted`.
 *
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
  return origin !== undefined && trusted.has(origin.toLowerCase())
}

function isOwnHost (origin: string, host: string): boolean {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]+)$/.exec(origin.toLowerCase())
  if (match === null) return false
  const port = defaultPorts[match[1]!]
  return withoutPort(match[2]!, port) === withoutPort(host.toLowerCase(), port)
}

function withoutPort (host: string, port: string | undefined): string {
  return port !== undefined && host.endsWith(port) ? host.slice(0, -port.length) : host
}
