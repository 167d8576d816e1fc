/** The options of local nodes under test: small bounds, so that tests reach them soon. */
export const defaultLocal = { deadlineMs: 1_000, maxCalls: 1_000, maxCallBytes: 8_000_000 }
