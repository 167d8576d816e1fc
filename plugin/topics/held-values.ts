import { createHash } from 'node:crypto'
import type { Frame } from '../protocol/frame.ts'

/** Characters of a digest: 48 bits. */
const digestLength = 8

/** Subscribers of a topic have the same values, and each snapshot names them. */
const digests = new WeakMap<Frame, string>()

function digestOf (frame: Frame): string {
  let digest = digests.get(frame)
  if (digest === undefined) digests.set(frame, digest = createHash('sha256').update(`${frame.key}\n${frame.text}`).digest('base64url').slice(0, digestLength))
  return digest
}

/** Names the values that the subscribers of a topic have, for {@link HeldValues}. */
export function packHeld (frames: Iterable<Frame>): string {
  let packed = ''
  for (const frame of frames) packed += digestOf(frame)
  return packed
}

/** The values that a session has which comes from another node. */
export class HeldValues {
  readonly #digests = new Set<string>()
  /** Texts by key. */
  readonly #later: ReadonlyMap<string, string>

  /**
   * @param packed the values that it had there
   * @param later texts of the values that it got from the log since, by key
   */
  constructor (packed: string, later: ReadonlyMap<string, string>) {
    for (let at = 0; at < packed.length; at += digestLength) this.#digests.add(packed.slice(at, at + digestLength))
    this.#later = later
  }

  has (frame: Frame): boolean {
    const later = this.#later.get(frame.key!)
    return later === undefined ? this.#digests.has(digestOf(frame)) : later === frame.text
  }
}
