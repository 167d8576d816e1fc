/** Matches the verdicts of a session that knows nothing of the page yet, so that `setup` must run. */
export const blankVerdict = /new|expired/
