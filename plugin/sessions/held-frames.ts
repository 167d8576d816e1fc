import type { Offset } from '../cluster/engine.ts'
import type { HeldFrame, Outbox } from '../delivery/outbox.ts'
import { Frame } from '../protocol/frame.ts'
import type { BroadcastLog } from './broadcast-log.ts'
import type { SessionSnapshot, SnapshotFrame } from './snapshot.ts'

/** The frames of an outbox for a snapshot: by their place where the log has them, by their text otherwise. */
export function snapshotFrames (outbox: Outbox, log: BroadcastLog | null, now: number): Pick<SessionSnapshot, 'first' | 'frames' | 'framesAfter'> {
  let framesAfter: Offset | null = null
  const frames = outbox.held(now).map(({ frame, writtenMsAgo }): SnapshotFrame => {
    const found = log?.placeOf(frame) ?? null
    if (found === null) return { text: frame.text, key: frame.key, shared: frame.isShared, writtenMsAgo }
    if (framesAfter === null || found.after < framesAfter) framesAfter = found.after
    return { place: found.place, writtenMsAgo }
  })
  return { first: outbox.first, frames, framesAfter }
}

/**
 * The frames of a snapshot for an outbox. Those that the log no longer has are lost, and all before them with them:
 * held frames have no hole.
 *
 * @param elapsedMs milliseconds since the snapshot
 */
export function heldFrames ({ first, frames }: Pick<SessionSnapshot, 'first' | 'frames'>, log: BroadcastLog | null, elapsedMs: number): { readonly first: number, readonly frames: HeldFrame[] } {
  let held: HeldFrame[] = []
  let firstHeld = first
  for (const [index, one] of frames.entries()) {
    const frame = 'place' in one ? log?.frameAt(one.place) ?? null : inlineFrame(one)
    if (frame === null) {
      held = []
      firstHeld = first + index + 1
    } else held.push({ frame, writtenMsAgo: one.writtenMsAgo === null ? null : one.writtenMsAgo + elapsedMs })
  }
  return { first: firstHeld, frames: held }
}

function inlineFrame ({ text, key, shared }: { readonly text: string, readonly key: string | null, readonly shared: boolean }): Frame {
  const frame = new Frame(text, key)
  frame.isShared = shared
  return frame
}
