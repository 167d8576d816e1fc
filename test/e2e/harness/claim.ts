/** Headers of a browser's own EventSource when it reconnects. */
export function exactly (session: string, seq: number | string): Record<string, string> {
  return { 'last-event-id': `${session}.${seq}` }
}

/** Headers of a reader that names its session and counts updates itself. */
export function counting (session: string, seq?: number | string): Record<string, string> {
  return { 'x-tether-session': session, ...seq === undefined ? {} : exactly(session, seq) }
}
