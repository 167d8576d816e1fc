/** What a browser's own EventSource sends when it comes back. */
export function exactly (session: string, seq: number | string): Record<string, string> {
  return { 'last-event-id': `${session}.${seq}` }
}

/** What a reader sends that names its session in a header and counts updates itself. */
export function counting (session: string, seq?: number | string): Record<string, string> {
  return { 'x-tether-session': session, ...seq === undefined ? {} : exactly(session, seq) }
}
