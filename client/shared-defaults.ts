/** Every default that `connectShared` adds. */
export const sharedDefaults = Object.freeze({ leaderTimeoutMs: 5_000 })
