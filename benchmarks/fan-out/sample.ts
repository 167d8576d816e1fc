import process from 'node:process'

/** What every kind broadcasts. */
export interface Sample {
  readonly mark: string
  /** When it was broadcast: microseconds of the clock that all processes of the machine share. */
  readonly t: number
  readonly text: string
}

/** Occurs once in each frame, and nowhere else in what a server sends: readers count frames by it. */
export const mark = '^'

/** Where the digits of `t` begin, counted from the mark. */
export const timeOffset = '^","t":'.length

export function now (): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** The text that makes the frame of a sample, as server-sent events, `frameBytes` long. */
export function fillerFor (frameBytes: number): string {
  const empty = encodeFrame({ mark, t: now(), text: '' })
  return 'x'.repeat(Math.max(0, frameBytes - empty.length))
}

/** What those kinds send that leave the framing to their user. */
export function encodeFrame (sample: Sample): string {
  return `event: sample\ndata: ${JSON.stringify(sample)}\n\n`
}
