import { connect } from '@nats-io/transport-node'
import t from 'tap'
import { engineContract, type EngineUnderTest } from '../../plugin/entries/contract-tests.ts'
import { nats } from '../../plugin/entries/nats.ts'
import { NatsServer } from './harness/nats.ts'
import { Relay } from './harness/relay.ts'

const limits = { deadlineMs: 1_000, maxCalls: 1_000, maxCallBytes: 8_000_000, logBytes: 33_554_432, recordBytes: 33_554_432, journalBytes: 16_777_216 }

const underTest: EngineUnderTest = {
  name: 'nats',
  can: { durable: true, due: true, journal: true },
  faults: ['cut', 'freeze', 'empty', 'restart'],
  deadlineMs: limits.deadlineMs,
  queue: { count: limits.maxCalls, bytes: limits.maxCallBytes },
  start: async (scope) => {
    const server = await NatsServer.start(scope.after)
    return {
      node: async (application) => {
        const relay = await Relay.start(scope.after, () => server.port)
        const source = nats(() => connect({ servers: `127.0.0.1:${relay.port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100, timeout: 1_000 }), limits)
        return { engine: source.engineFor(application), cut: () => relay.cut(), freeze: () => relay.freeze(), mend: () => relay.mend() }
      },
      empty: () => server.empty(),
      restart: () => server.restart()
    }
  }
}

t.setTimeout(120_000)
for (const { name, run } of engineContract(underTest)) t.test(name, () => run())
