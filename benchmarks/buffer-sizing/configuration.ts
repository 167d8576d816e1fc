import { defaults } from '../../schemas/defaults.ts'
import type { Need } from './memory-model.ts'
import type { Workload } from './workload.ts'

/** The options to paste. */
export interface Configuration {
  readonly writeBuffer: number
  readonly commandBuffer: number
  readonly queueFrames: number
  readonly queueBytes: number
  readonly maxSessions: number
  readonly maxBufferedBytes: number
}

/**
 * Limits that fit a write buffer. The budget, less streams, sockets and commands, is for the
 * outboxes; a queue must hold more than the write buffer, or a reader is cut off before its session stalls.
 */
export function configurationFor (
  workload: Workload, clients: number, writeBuffer: number, commandBuffer: number, need: Need, budgetBytes: number | undefined
): Configuration {
  const maxBufferedBytes = budgetBytes === undefined
    ? defaults.plugin.maxBufferedBytes
    : budgetBytes - (need.totalBytes - need.waitingBytes)
  const leastFrames = 2 * (writeBuffer + workload.updatesPerEvent)
  const leastBytes = leastFrames * workload.updateBytes
  const share = maxBufferedBytes / Math.max(1, need.stalledClients)
  const queueBytes = Math.max(leastBytes, Math.min(defaults.stateful.queueBytes, share))
  return {
    writeBuffer,
    commandBuffer,
    queueFrames: Math.max(leastFrames, Math.min(defaults.stateful.queueFrames, Math.floor(queueBytes / workload.updateBytes))),
    queueBytes: wholeKibibytes(queueBytes, Math.ceil),
    maxSessions: clients,
    maxBufferedBytes: wholeKibibytes(maxBufferedBytes, Math.floor)
  }
}

function wholeKibibytes (bytes: number, round: (value: number) => number): number {
  return Math.max(1, round(bytes / 1_024)) * 1_024
}

export function formatConfiguration (configuration: Configuration): string {
  const { writeBuffer, commandBuffer, queueFrames, queueBytes, maxSessions, maxBufferedBytes } = configuration
  const figure = (value: number): string => String(value).replaceAll(/\B(?=(\d{3})+$)/g, '_')
  return [
    'await app.register(tether, {',
    `  maxSessions: ${figure(maxSessions)},`,
    `  maxBufferedBytes: ${figure(maxBufferedBytes)}`,
    '})',
    'app.tether.stateful(url, {',
    `  upgrade: app.tether.sse.upgrade({ writeBuffer: ${figure(writeBuffer)} }),`,
    `  commandBuffer: ${figure(commandBuffer)},`,
    `  queueFrames: ${figure(queueFrames)},`,
    `  queueBytes: ${figure(queueBytes)}`,
    '  // contract, on, …',
    '})'
  ].join('\n')
}
