/** With more waiting frames, a write does not wait for the end of the turn. */
const pressedFrames = 256

/** Bounds of what may wait for the end of the turn. */
export interface PressureLimits {
  readonly queueFrames: number
  readonly queueBytes: number
  readonly minIntervalMs: number
}

/** Whether too much waits, so that a write may not wait for the end of the turn, nor for the pace. */
export function isPressed (
  { waiting, waitingBytes }: { readonly waiting: number, readonly waitingBytes: number },
  { queueFrames, queueBytes, minIntervalMs }: PressureLimits,
  writeBytes: number
): boolean {
  if (waiting > queueFrames || waitingBytes > queueBytes) return true
  // With a pace, all updates of an interval are one picture, however many they are.
  return minIntervalMs === 0 && (waiting > pressedFrames || waitingBytes > writeBytes)
}
