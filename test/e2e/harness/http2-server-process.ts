import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { within } from './until.ts'

/** The process's report on itself. */
export interface Http2Report {
  readonly port: number
  readonly sessions: number
  readonly streams: number
  /** Sessions with a stalled stream. */
  readonly stalled: number
  readonly connects: number
  readonly disconnects: number
  /** In bytes. */
  readonly memory: number
}

export interface Http2ServerProcess {
  readonly protocol: 'h2c' | 'h2'
  /** PEM, for TLS. */
  readonly cert: string
  readonly port: number
  /** Rejects when the process does not answer: it hangs, or it is gone. */
  report: () => Promise<Http2Report>
}

/** Starts a server in its own process, because its failure would end the test's process as well. It is killed when the test ends. */
export async function startHttp2Server (t: Test, protocol: 'h2c' | 'h2'): Promise<Http2ServerProcess> {
  const child = fork(fileURLToPath(new URL('http2-server.ts', import.meta.url)), [protocol], { execArgv: ['--import', 'tsx/esm'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const ended = once(child, 'exit').then(([code, signal]) => { throw new Error(`the server has ended: ${code ?? signal}`) })
  ended.catch(() => {})
  const message = async <Message>(what: string, withinMs?: number): Promise<Message> => {
    const [message] = await within(Promise.race([once(child, 'message'), ended]), what, withinMs)
    return message as Message
  }
  const { port, cert } = await message<{ port: number, cert: string }>('the server to listen', 60_000)
  return {
    protocol,
    cert,
    port,
    report: () => {
      child.send('report')
      return message<Http2Report>('a sign of life')
    }
  }
}
