import net from 'node:net'
import tls from 'node:tls'

/** The server under load, as it goes to the processes of the generator. */
export interface Target {
  readonly isSecure: boolean
  readonly hostname: string
  readonly port: number
  /** Path and query of the stream's URL. */
  readonly path: string
  /** Value of the header `host`. */
  readonly host: string
  readonly headers: Readonly<Record<string, string>>
  readonly transport: 'sse' | 'websocket' | 'http2'
}

export function targetOf (url: URL, headers: Readonly<Record<string, string>>, transport: Target['transport']): Target {
  const isSecure = url.protocol === 'https:'
  return {
    isSecure,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? isSecure ? 443 : 80 : Number(url.port),
    path: url.pathname + url.search,
    host: url.host,
    headers,
    transport
  }
}

/** The path of an event below the stream's URL. */
export function pathOf ({ path }: Target, event: string): string {
  return path.replace(/\/?(?=\?|$)/, `/${event}`)
}

/** Opens a connection. A certificate is not checked: the person owns the server. */
export function connect ({ isSecure, hostname, port }: Target, onOpen: () => void): net.Socket {
  const socket = isSecure
    ? tls.connect({ host: hostname, port, rejectUnauthorized: false, ...net.isIP(hostname) === 0 ? { servername: hostname } : {} }, onOpen)
    : net.connect({ host: hostname, port }, onOpen)
  socket.setNoDelay(true)
  return socket
}

/** The lines of a request's head, without the empty line behind them. */
export function headOf (method: string, { path, host, headers }: Target, more: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host, ...headers, ...more }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}`
}
