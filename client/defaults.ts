/** Every default of the client, in one frozen table; `docs/client.md` lists the same, and a test holds the two together. Times are milliseconds. */
export const defaults = Object.freeze({
  retryMs: 500,
  retryMaxMs: 10_000,
  requestTimeoutMs: 15_000,
  hiddenMs: 0,
  maxQueued: 10_000,
  maxUpdateLength: 16_777_216
})
