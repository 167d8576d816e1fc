/** Every default of the stored queue. */
export const storedDefaults = Object.freeze({ maxAgeMs: 86_400_000 })
