import type { Test } from 'tap'
import { connect, type Connection, type ConnectionState, type ConnectOptions, type StateDetail } from '../../client/index.ts'
import type { contract } from '../e2e/harness/contract.ts'
import { startLink, type Link } from '../e2e/harness/link.ts'
import { startLive, type LiveOptions, type LiveServer, type LiveSession } from '../e2e/harness/live.ts'
import { until } from '../e2e/harness/until.ts'

export type LiveConnection = Connection<typeof contract>

/** A request that the client made. */
export interface Sent {
  method: string
  path: string
  headers: Record<string, string>
  body: any
  status: number
}

export interface Rig {
  server: LiveServer
  /** The network between the client and the server. */
  network: Link
  client: LiveConnection
  /** Every state since the start, with its detail. */
  states: Array<[ConnectionState, StateDetail]>
  /** Every request that was answered. */
  sent: Sent[]
  /** Waits for the client's session on the server. */
  session: () => Promise<LiveSession>
  /** Waits until the client has been in this state `times` times. */
  became: (state: ConnectionState, times?: number) => Promise<StateDetail>
}

/** Starts a server and connects a client to it, through a network that can fail. All end with the test. */
export async function connectLive (t: Test, live: LiveOptions = {}, options: ConnectOptions = {}): Promise<Rig> {
  const server = await startLive(t, live)
  const network = await startLink(t, server)
  return { server, network, ...connectTo(t, server, network.port, options) }
}

/** Connects a client to an existing server and network. */
export function connectTo (t: Test, server: LiveServer, port: number, options: ConnectOptions = {}): Omit<Rig, 'server' | 'network'> {
  const sent: Sent[] = []
  const send = options.fetch ?? fetch
  const client: LiveConnection = connect<typeof contract>(`http://127.0.0.1:${port}/live`, {
    retryMs: 20,
    retryMaxMs: 200,
    ...options,
    fetch: async (url, init = {}) => {
      const response = await send(url, init)
      const { method = 'GET', headers, body } = init
      sent.push({
        method,
        path: new URL(String(url)).pathname,
        headers: headers as Record<string, string>,
        body: typeof body === 'string' ? JSON.parse(body) : undefined,
        status: response.status
      })
      return response
    }
  })
  t.teardown(() => client.close())
  const states: Rig['states'] = []
  client.onState((state, detail) => states.push([state, detail]))
  return {
    client,
    states,
    sent,
    session: () => until(() => client.session === undefined ? undefined : server.live.get(client.session), 'the session'),
    became: async (state, times = 1) => {
      const found = await until(() => states.filter(([name]) => name === state)[times - 1], `state ${state}, ${times} times`)
      return found[1]
    }
  }
}
