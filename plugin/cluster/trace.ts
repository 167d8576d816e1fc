/** Longest text of a trace that goes from node to node. With baggage it could be of any length. */
export const traceLength = 1_024

/** Whether a value that another node sent may be the text of a trace. */
export function isTrace (value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= traceLength
}
