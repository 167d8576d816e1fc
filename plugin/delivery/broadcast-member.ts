import type { Frame } from '../protocol/frame.ts'

/** Gets the broadcasts of an audience. */
export interface BroadcastTarget {
  /** Number of the last broadcast that it received; kept by the queue. */
  deliveredUpTo: number
}

/** A receiver of broadcasts. After one or more appends, the queue calls `writeAppended` or `scheduleAppended`. */
export interface BroadcastMember extends BroadcastTarget {
  /** Number of the last broadcast that it received or was excluded from. While it is in step, its cohort knows. */
  deliveredUpTo: number
  /** Whether its cohort receives broadcasts for it. */
  readonly isInStep: boolean
  /** Takes it out of step: it receives broadcasts itself from now on. */
  leaveStep: () => void
  /** Queues a frame; checks no limit and writes nothing. */
  append: (frame: Frame) => void
  /** Writes the appended frames at once. */
  writeAppended: (now: number) => void
  /** Schedules the write of the appended frames for the end of this turn of the event loop. */
  scheduleAppended: () => void
}
