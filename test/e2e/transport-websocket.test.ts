import { testTransport } from './harness/transport-contract.ts'
import { transports } from './harness/transport.ts'

testTransport(transports.webSocket)
