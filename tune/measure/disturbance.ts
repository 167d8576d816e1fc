import type { Step } from './step.ts'

/** Beyond this share of the machine, what other processes use is noise. */
export const othersLimit = 0.2
/** A server that waits for a processor for more than this share of the time is slower than it is by itself. */
const waitedLimit = 0.1

/** The share by which a server may be better than a disturbed step shows: it could have run while it waited. */
export function hiddenShare ({ machine: { others, waited } }: Pick<Step, 'machine'>): number {
  const lost = Math.min(0.9, waited ?? others ?? 0)
  return lost / (1 - lost)
}

/** Whether other processes may have made the server look worse than it is. Nothing makes it look better. */
export function isDisturbed ({ machine: { others, waited } }: Pick<Step, 'machine'>): boolean {
  return waited === null ? others !== null && others > othersLimit : waited > waitedLimit
}
