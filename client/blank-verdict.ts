/** Matches the verdicts after which the session knows nothing of the page, and `setup` must run. */
export const blankVerdict = /new|expired/
