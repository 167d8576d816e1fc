import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'

const algorithm = 'aes-256-gcm'
const tagBytes = 16
/** Each claim makes a key of its own, which encrypts once. */
const nonce = Buffer.alloc(12)

function keyOf (claim: string): Buffer {
  return createHash('sha256').update('fastify-tether claim\0').update(claim).digest()
}

/** Encrypts the id of a session for those who have the claim: the engine must not learn it. */
export function seal (claim: string, id: string): Buffer {
  const cipher = createCipheriv(algorithm, keyOf(claim), nonce)
  return Buffer.concat([cipher.update(id), cipher.final(), cipher.getAuthTag()])
}

/** Decrypts what {@link seal} made; null for anything else. */
export function unseal (claim: string, sealed: Buffer): string | null {
  if (sealed.length < tagBytes) return null
  const decipher = createDecipheriv(algorithm, keyOf(claim), nonce, { authTagLength: tagBytes })
  decipher.setAuthTag(sealed.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -tagBytes)), decipher.final()]).toString()
  } catch {
    return null
  }
}
