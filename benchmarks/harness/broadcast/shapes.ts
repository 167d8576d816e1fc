import type { Samples, Sample } from './samples.ts'

/** The part of the library that the shapes use. */
interface Member { send (name: 'sample', data: Sample): unknown }
interface Group {
  readonly size: number
  add (session: Member): unknown
  delete (session: Member): unknown
  broadcast (name: 'sample', data: Sample): unknown
}
interface Live { group (name: string): Group }

/** Whom the frames of a tick go to. */
export interface Audience {
  join (session: Member): void
  /** Sends a tick in which each session gets this number of frames. */
  emit (frames: number): void
}

/** The shapes whose ticks have a fixed number of frames, by that number. */
export const framesOf = { groups: 3, private: 10 } as const
export type Shape = 'all' | keyof typeof framesOf | 'moving'

const groupMembers = 10
const groupTurns = 10
/** Sessions that leave a group and join another, at each broadcast. */
export const movesPerTick = 100

/**
 * - `all`: every frame is a broadcast to one group of all sessions.
 * - `groups`: groups of 10, each session in two of them, no two of which share two sessions. In 10 turns of the event loop
 *   each group gets one broadcast, in another order in each tick, and all sessions get one between them.
 * - `private`: in 9 turns all sessions get a broadcast, and a ninth of them a `send` each: one delivery in ten is private.
 * - `moving`: as `all`; before each broadcast 100 sessions leave a group and join one of a new name.
 */
export function createAudience (shape: Shape, live: Live, samples: Samples, streams: number): Audience {
  const all = live.group('everybody')
  const sessions: Member[] = []
  const broadcast = (group: Group): void => { group.broadcast('sample', samples.next()) }
  const join = (session: Member): void => {
    all.add(session)
    sessions.push(session)
  }
  const half = Math.ceil(streams / groupMembers)
  const groupOf = (index: number): string => `group ${index}`
  switch (shape) {
    case 'all': return { join, emit: (frames) => { for (let count = 0; count < frames; count += 1) broadcast(all) } }
    case 'groups': return {
      join: (session) => {
        const place = sessions.length
        live.group(groupOf(Math.floor(place / groupMembers))).add(session)
        live.group(groupOf(half + place % half)).add(session)
        join(session)
      },
      emit: () => {
        const groups = shuffled(2 * half)
        const each = Math.ceil(groups.length / groupTurns)
        inTurns(groupTurns, (turn) => {
          for (const index of groups.slice(turn * each, (turn + 1) * each)) broadcast(live.group(groupOf(index)))
          if (turn === groupTurns / 2) broadcast(all)
        })
      }
    }
    case 'private': {
      const turns = framesOf.private - 1
      return {
        join,
        emit: () => inTurns(turns, (turn) => {
          // Before the broadcast in every other turn, and behind it in the others.
          if (turn % 2 === 0) broadcast(all)
          for (let place = turn; place < sessions.length; place += turns) sessions[place]!.send('sample', samples.next())
          if (turn % 2 === 1) broadcast(all)
        })
      }
    }
    case 'moving': {
      let moves = 0
      return {
        join,
        emit: () => {
          for (let count = 0; count < movesPerTick; count += 1, moves += 1) {
            const session = sessions[moves % sessions.length]!
            const before = moves - sessions.length
            if (before >= 0) live.group(groupOf(Math.floor(before / groupMembers))).delete(session)
            live.group(groupOf(Math.floor(moves / groupMembers))).add(session)
          }
          broadcast(all)
        }
      }
    }
  }
}

/** Runs each step in a turn of the event loop of its own. */
function inTurns (turns: number, step: (turn: number) => void, turn = 0): void {
  step(turn)
  if (turn + 1 < turns) setImmediate(inTurns, turns, step, turn + 1)
}

function shuffled (count: number): number[] {
  const items = Array.from({ length: count }, (_, index) => index)
  for (let left = count; left > 1;) {
    const taken = Math.floor(Math.random() * left)
    left -= 1
    ;[items[taken], items[left]] = [items[left]!, items[taken]!]
  }
  return items
}
