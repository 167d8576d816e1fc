/** Every default of the client, in one frozen table. Times are milliseconds. A test compares the table with `docs/client.md`. */
export const defaults = Object.freeze({
  retryMs: 500,
  retryMaxMs: 10_000,
  requestTimeoutMs: 15_000,
  hiddenMs: 0,
  maxQueued: 10_000,
  maxUpdateLength: 16_777_216
})
