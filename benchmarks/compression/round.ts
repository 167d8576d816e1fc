import { Contestant, deliveryOf, type BroadcastKind, type ContestantParts, type Delivery } from '../harness/broadcast/contestant.ts'
import { measureStreamMemory, type MemoryRound } from '../harness/broadcast/stream-memory.ts'
import { withChildren } from '../harness/process/child-process.ts'
import { rotated, takeTurns } from '../harness/report/rotation.ts'

export interface Settings {
  readonly clients: number
  /** Frames of one tick. */
  readonly burst: number
  readonly repeats: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly sliceSeconds: number
  /** Streams for the memory measurement; 0 skips it. */
  readonly streams: number
  readonly memoryRepeats: number
}

/** One kind in one repeat. */
export interface Round extends Delivery {
  readonly kind: string
  readonly repeat: number
  /** The library's own figures of compression; null without any. */
  readonly stats: object | null
}

const module = new URL('server.ts', import.meta.url)

function partsOf (kind: BroadcastKind, burst: number, streams: number): ContestantParts {
  return { kind, module, unit: 'chunk', burst, frameBytes: 0, streams }
}

/** Runs all kinds side by side, in turns. */
export async function measureRound (kinds: readonly BroadcastKind[], repeat: number, settings: Settings, onStep: (step: string) => void): Promise<Round[]> {
  const { clients, burst, seconds, warmUpSeconds, sliceSeconds } = settings
  return await withChildren(async (children) => {
    const contestants: Contestant[] = []
    for (const kind of rotated(kinds, repeat)) {
      onStep(`opening ${kind.name}`)
      const contestant = await Contestant.start(children, partsOf(kind, burst, clients))
      await contestant.open(clients)
      contestants.push(contestant)
    }
    const measure = async (step: string, duration: number) => {
      onStep(step)
      return await takeTurns(contestants, Math.round(duration / sliceSeconds), repeat,
        async (contestant) => await contestant.run({ seconds: sliceSeconds }))
    }
    await measure('warming up', warmUpSeconds)
    const slices = await measure('measuring', seconds)
    return await Promise.all(contestants.map(async (contestant) => {
      await contestant.decode()
      return { kind: contestant.name, repeat, ...deliveryOf(slices.get(contestant) ?? []), stats: await contestant.stats() }
    }))
  })
}

/** Memory of one server's streams, alone, after some bursts to each. */
export async function measureMemory (kind: BroadcastKind, repeat: number, { streams, burst }: Settings): Promise<MemoryRound> {
  return await measureStreamMemory(partsOf(kind, burst, streams), repeat, async (contestant) => await contestant.run({ seconds: 1 }))
}
