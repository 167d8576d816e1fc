import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import * as ws from 'ws'
import { EncodedBatch } from '../../../plugin/carriers/encoded-batch.ts'
import { frameHead, frameMessage } from '../../../plugin/carriers/websocket-frame.ts'

const bytesOf = (head: string) => [...Buffer.from(head, 'latin1')]

/** What the library of the other side writes before so many bytes. */
function reference (length: number, opcode: number, fin: boolean): number[] {
  const [head] = (ws as unknown as { Sender: { frame: (data: Buffer, options: object) => Buffer[] } }).Sender.frame(Buffer.alloc(length), { opcode, fin, rsv1: false, mask: false, readOnly: true })
  return [...head!]
}

t.test('exact bytes', async (t) => {
  t.same(bytesOf(frameHead(0, 'whole')), [0x81, 0])
  t.same(bytesOf(frameHead(125, 'whole')), [0x81, 125])
  t.same(bytesOf(frameHead(126, 'first')), [0x01, 126, 0, 126])
  t.same(bytesOf(frameHead(65_535, 'middle')), [0x00, 126, 255, 255])
  t.same(bytesOf(frameHead(65_536, 'last')), [0x80, 127, 0, 0, 0, 0, 0, 1, 0, 0])
})

t.test('as another implementation has them', async (t) => {
  const pieces = [['whole', 1, true], ['first', 1, false], ['middle', 0, false], ['last', 0, true]] as const
  for (const [piece, opcode, fin] of pieces) {
    fc.assert(fc.property(fc.oneof(fc.nat(200), fc.integer({ min: 65_000, max: 66_000 }), fc.nat(20_000_000)), (length) => {
      deepStrictEqual(bytesOf(frameHead(length, piece)), reference(length, opcode, fin))
    }), { numRuns: 60 })
    t.pass(piece)
  }
})

t.test('a run as a message', async (t) => {
  const batch = new EncodedBatch('data: é\n\n')
  t.same([...batch.as(frameMessage)], [0x81, 10, ...Buffer.from('data: é\n\n')], 'its length is in bytes')
  t.equal(batch.as(frameMessage), batch.as(frameMessage), 'made once')
})
