import { connect } from '@nats-io/transport-node'
import { connect as connectOlder } from 'nats'
import type { EngineUnderTest } from '../../../plugin/entries/contract-tests.ts'
import { nats, type NatsConnection, type NatsOptions } from '../../../plugin/entries/nats.ts'
import { NatsServer } from './nats.ts'
import { startRelay } from './relay.ts'

/** Small bounds, so that tests reach them soon. */
export const natsLimits = { deadlineMs: 1_000, maxCalls: 1_000, maxCallBytes: 8_000_000, logBytes: 33_554_432, recordBytes: 33_554_432, journalBytes: 16_777_216 } satisfies NatsOptions

type Client = (port: number, more?: { user?: string, pass?: string }) => Promise<NatsConnection>

export const newer: Client = (port, more) => connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100, timeout: 1_000, ...more })
export const older: Client = (port, more) => connectOlder({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100, timeout: 1_000, ...more })

/** A server for each case, with a relay before each node that can cut and freeze. */
export function natsUnderTest (name: string, client: Client): EngineUnderTest {
  return {
    name,
    can: { durable: true, due: true, journal: true },
    faults: ['cut', 'freeze', 'empty', 'restart'],
    deadlineMs: natsLimits.deadlineMs,
    // Cases run at one time, on a busy machine.
    shortestMs: 500,
    queue: { count: natsLimits.maxCalls, bytes: natsLimits.maxCallBytes },
    start: async (scope) => {
      const server = await NatsServer.start(scope.after)
      return {
        node: async (application) => {
          const relay = await startRelay(scope, server.port)
          return {
            engine: nats(() => client(relay.port), natsLimits).engineFor(application),
            cut: () => relay.cut(),
            freeze: () => relay.freeze(),
            mend: () => relay.mend()
          }
        },
        empty: () => server.empty(),
        restart: () => server.restart()
      }
    }
  }
}
