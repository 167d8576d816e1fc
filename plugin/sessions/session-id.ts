import { createHash, randomFillSync } from 'node:crypto'

const idBytes = 18
const pool = Buffer.alloc(idBytes * 256)
let used = pool.length

/** A new session id: 144 random bits in base64url, 24 characters. Only the server chooses ids. */
export function createSessionId (): string {
  // Random bytes for many ids at a time: each system call costs microseconds.
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const id = pool.toString('base64url', used, used + idBytes)
  pool.fill(0, used, used + idBytes)
  used += idBytes
  return id
}

/** Whether a text may be the id of a session. */
export function isSessionId (text: string): boolean {
  return /^[A-Za-z0-9_-]{24}$/.test(text)
}

/** The beginning of an id, for logs: enough to tell sessions apart, too little to use one. */
export function shortSessionId (id: string): string {
  return `${id.slice(0, 6)}…`
}

/** Names a session to other nodes: 22 characters, from which nobody can work out the id. */
export function refOf (id: string): string {
  return createHash('sha256').update(id).digest('base64url').slice(0, 22)
}
