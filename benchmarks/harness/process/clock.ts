import process from 'node:process'

/** Microseconds on a clock that all processes of the machine share and nobody sets back. */
export function microseconds (): number {
  return Number(process.hrtime.bigint() / 1000n)
}
