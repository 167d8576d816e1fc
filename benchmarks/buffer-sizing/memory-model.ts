import { defaults } from '../../schemas/defaults.ts'
import type { Workload } from './workload.ts'

/** Measurements of a server that only holds streams open. */
export interface IdleMemory {
  /** Bytes of the process without a stream. */
  readonly residentBytes: number
  /** Bytes that one open stream adds, with its session. */
  readonly streamBytes: number
  /** Bytes that one waiting command adds. */
  readonly commandBytes: number
}

/** Memory of a server when a share of its clients stalls at the same time. */
export interface Need {
  readonly stalledClients: number
  readonly residentBytes: number
  /** Streams of all clients. */
  readonly streamBytes: number
  /** Commands in the full channels of stalled clients. */
  readonly commandBytes: number
  /** Bytes in the sockets of stalled clients, not taken by the kernel: a piece each. */
  readonly socketBytes: number
  /** Bytes in the outboxes of stalled clients. */
  readonly waitingBytes: number
  readonly totalBytes: number
}

export interface NeedParts {
  readonly idle: IdleMemory
  readonly workload: Workload
  readonly clients: number
  readonly stalledShare: number
  readonly writeBuffer: number
  readonly commandBuffer: number
}

export function needOf ({ idle, workload, clients, stalledShare, writeBuffer, commandBuffer }: NeedParts): Need {
  const stalledClients = Math.ceil(clients * stalledShare)
  const waitingEach = writeBuffer * workload.updateBytes
  // The updates of one turn leave in one write, up to a piece.
  const pieceBytes = Math.max(defaults.fixed.writeBytes, workload.updateBytes)
  const parts = {
    residentBytes: idle.residentBytes,
    streamBytes: clients * idle.streamBytes,
    commandBytes: stalledClients * commandBuffer * idle.commandBytes,
    socketBytes: stalledClients * Math.min(pieceBytes, (writeBuffer + workload.updatesPerEvent) * workload.updateBytes),
    waitingBytes: stalledClients * waitingEach
  }
  return { stalledClients, ...parts, totalBytes: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) }
}
