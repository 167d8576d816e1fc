import { defaults } from '../../schemas/defaults.ts'
import type { Workload } from './workload.ts'

/** What was measured of a server that only holds streams open. */
export interface IdleMemory {
  /** Of the process without a stream. */
  readonly residentBytes: number
  /** What one open stream adds, its session included. */
  readonly streamBytes: number
  /** What one waiting command adds. */
  readonly commandBytes: number
}

/** What a server needs when a share of its clients stalls at the same time. */
export interface Need {
  readonly stalledClients: number
  readonly residentBytes: number
  /** Of all clients. */
  readonly streamBytes: number
  /** Commands of full channels, of those that stall. */
  readonly commandBytes: number
  /** Handed to their sockets and not taken by the kernel: a piece each. */
  readonly socketBytes: number
  /** Waiting in their outboxes. */
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
  // What one turn has made leaves in one write, up to a piece.
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
