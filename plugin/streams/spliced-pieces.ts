import { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { Outbox } from '../delivery/outbox.ts'
import type { FrameBatches } from '../delivery/frame-batches.ts'

/**
 * Frames as pieces for a carrier that compresses each piece alone. Shared, private and library
 * text never share a piece. Compressed length leaks content (BREACH): an attacker who can place
 * text in one of them must learn nothing of another.
 *
 * @param text library text before the frames
 * @param idPrefix begins each update's `id:` line; null for none
 * @param splicedBytes least bytes of a frame with an id for a piece of its own
 */
export function splicedPieces (text: string, outbox: Outbox, start: number, end: number, idPrefix: string | null, batches: FrameBatches, splicedBytes: number): EncodedBatch[] {
  const pieces: EncodedBatch[] = []
  let own = text
  for (let number = start; number < end;) {
    if (idPrefix !== null) own += `id: ${idPrefix}${number}\n`
    // Ids separate the frames, and most frames are too small for a piece of their own.
    if (idPrefix !== null && outbox.at(number).bytes < splicedBytes) {
      own += outbox.at(number++).text
      continue
    }
    if (own !== '') pieces.push(new EncodedBatch(own, false, false))
    own = ''
    const batchEnd = idPrefix === null ? endOfAudience(outbox, number, end) : number + 1
    // The last reader of a shared frame has nobody left to share it with.
    const batch = outbox.at(number).isShared ? batches.shared(outbox, number, batchEnd) : null
    pieces.push(batch ?? new EncodedBatch(textOf(outbox, number, batchEnd), false, true))
    number = batchEnd
  }
  if (own !== '') pieces.push(new EncodedBatch(own, false, false))
  return pieces
}

/** Number after the longest row of frames from `start` on that are all shared, or all private. */
function endOfAudience (outbox: Outbox, start: number, end: number): number {
  const { isShared } = outbox.at(start)
  let number = start + 1
  while (number < end && outbox.at(number).isShared === isShared) number++
  return number
}

function textOf (outbox: Outbox, start: number, end: number): string {
  let text = ''
  for (let number = start; number < end; number++) text += outbox.at(number).text
  return text
}
