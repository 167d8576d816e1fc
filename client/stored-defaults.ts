/** Every default that `connectStored` adds. */
export const storedDefaults = Object.freeze({ maxAgeMs: 86_400_000 })
