import { formatBytes } from '../harness/report/quantity.ts'

/** Work of one session. */
export interface Workload {
  /** Bytes of one update on the wire, its event line included. */
  readonly updateBytes: number
  /** Updates that the handler of one event sends. */
  readonly updatesPerEvent: number
  /** Events a second that each session gets at the fixed rate. */
  readonly eventsPerSecond: number
}

/** Name of a workload; workloads with the same name are equal. */
export function describeWorkload ({ updateBytes, updatesPerEvent, eventsPerSecond }: Workload): string {
  return `${updatesPerEvent} × ${formatBytes(updateBytes)} per event, ${eventsPerSecond} events/s per session`
}

/** Bytes a second that one session's reader gets at the fixed rate. */
export function bytesPerSecond ({ updateBytes, updatesPerEvent, eventsPerSecond }: Workload): number {
  return updateBytes * updatesPerEvent * eventsPerSecond
}
