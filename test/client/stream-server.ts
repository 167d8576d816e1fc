import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export const sessionId = 'AAAAAAAAAAAAAAAAAAAAAAAA'

/** A hello as a server of ours writes it. */
export function hello (fields: object = {}): string {
  return `event: tether\ndata: ${JSON.stringify({ type: 'hello', session: sessionId, verdict: 'new', seq: 0, heartbeatMs: 20_000, maxBatch: 32, maxEventBytes: 65_536, ...fields })}\n\n`
}

/** Begins a stream. */
export function open (response: ServerResponse, text: string | Uint8Array = hello()): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write(text)
}

export interface Asked {
  method: string
  headers: IncomingMessage['headers']
  /** Read as JSON, where there is one. */
  body: any
}

export interface StreamServer {
  url: string
  /** Every request so far. */
  asked: Asked[]
  count: (method: string) => number
}

/** A server that answers as a test tells it, for what none of ours would say; `number` counts the requests of that method, from 1. */
export async function startStreams (t: Test, answer: (response: ServerResponse, method: string, number: number, request: Asked) => void): Promise<StreamServer> {
  const asked: Asked[] = []
  const count = (method: string) => asked.filter((request) => request.method === method).length
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (piece: string) => { text += piece }).on('end', () => {
      const { method = '', headers } = request
      const one = { method, headers, body: text === '' ? undefined : JSON.parse(text) }
      asked.push(one)
      answer(response, method, count(method), one)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/live`, asked, count }
}
