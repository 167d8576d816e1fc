import { randomFillSync } from 'node:crypto'

const idBytes = 18
const pool = Buffer.alloc(idBytes * 256)
let used = pool.length

/** A new session id: 144 random bits in base64url, 24 characters. Nobody but the server chooses one. */
export function createSessionId (): string {
  // The system is asked for many ids' worth at a time, since each question costs microseconds.
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const id = pool.toString('base64url', used, used + idBytes)
  pool.fill(0, used, used + idBytes)
  used += idBytes
  return id
}

/** An id as logs and figures show it: enough to tell sessions apart, too little to use one. */
export function shortSessionId (id: string): string {
  return `${id.slice(0, 6)}…`
}
