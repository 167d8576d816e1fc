/** Every default of the shared connection. */
export const sharedDefaults = Object.freeze({ leaderTimeoutMs: 5_000 })
