import { formatBytes } from '../harness/report/quantity.ts'

/** What one session gets to do. */
export interface Workload {
  /** Bytes of one update on the wire, its event line included. */
  readonly updateBytes: number
  /** Updates that the handler of one event sends. */
  readonly updatesPerEvent: number
  /** Events that each session is sent at the fixed rate. */
  readonly eventsPerSecond: number
}

/** Names a workload; two with the same name are the same. */
export function describeWorkload ({ updateBytes, updatesPerEvent, eventsPerSecond }: Workload): string {
  return `${updatesPerEvent} × ${formatBytes(updateBytes)} per event, ${eventsPerSecond} events/s per session`
}

/** What one session is sent at the fixed rate. */
export function bytesPerSecond ({ updateBytes, updatesPerEvent, eventsPerSecond }: Workload): number {
  return updateBytes * updatesPerEvent * eventsPerSecond
}
