import { withChildren } from '../process/child-process.ts'
import { memoryOfStreams, warmUpStreams, type StreamMemory } from '../process/memory-reading.ts'
import { Contestant, type ContestantParts } from './contestant.ts'

/** Memory of each stream of one kind in one repeat. */
export interface MemoryRound extends StreamMemory {
  readonly kind: string
  readonly repeat: number
  readonly streams: number
}

/**
 * What each of many streams takes of a fresh server.
 *
 * @param settle what happens to streams before their memory is read
 */
export async function measureStreamMemory (
  parts: ContestantParts, repeat: number, settle: (contestant: Contestant) => Promise<unknown>
): Promise<MemoryRound> {
  const { kind: { name }, streams } = parts
  return await withChildren(async (children) => {
    const warmUp = warmUpStreams(streams)
    const contestant = await Contestant.start(children, { ...parts, streams: streams + warmUp })
    await contestant.open(warmUp)
    await settle(contestant)
    const before = await contestant.memory()
    await contestant.open(streams)
    await settle(contestant)
    const after = await contestant.memory()
    await contestant.check()
    return { kind: name, repeat, streams, ...memoryOfStreams(before, after, streams) }
  })
}
