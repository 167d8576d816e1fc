import { channels } from '../cluster/channels.ts'
import type { Broadcast } from '../cluster/log-entry.ts'
import type { Offset } from '../cluster/engine.ts'
import type { LogPosition } from '../cluster/log-position.ts'
import type { LogSubscriber } from '../cluster/log-reader.ts'
import type { Audience } from '../delivery/audience.ts'
import type { BroadcastQueue } from '../delivery/broadcast-queue.ts'
import { topicOf, type Frame } from '../protocol/frame.ts'
import type { BroadcastLog } from './broadcast-log.ts'
import type { SessionIndex } from './session-index.ts'
import type { TetherSession } from './session.ts'
import type { EpochFilter, TopicsPart } from './topics-part.ts'

/** The part of an endpoint that a relay delivers to. */
interface Destination {
  readonly everyone: Audience<TetherSession>
  readonly groups: { audience: (name: string) => Audience<TetherSession> | undefined }
  readonly topics: Pick<TopicsPart<TetherSession>, 'deliver' | 'lost'> | null
  readonly index: SessionIndex
  readonly runtime: { readonly broadcasts: Pick<BroadcastQueue, 'push'> }
}

/** Joins the sessions of one URL to those of the same URL on other nodes: broadcasts go into the log, and come out of it. */
export class Relay implements LogSubscriber {
  readonly #url: string
  /** Where updates for single sessions go. */
  readonly #channels: { readonly user: string, readonly ref: string }
  readonly #log: BroadcastLog
  readonly #destination: Destination

  constructor (url: string, log: BroadcastLog, destination: Destination) {
    this.#url = url
    this.#log = log
    this.#destination = destination
    this.#channels = { user: channels.user(url), ref: channels.ref(url) }
    log.subscribe(url, this)
    // The URL tells losses once.
    const lost = () => {}
    log.subscribe(this.#channels.user, { deliver: ({ group, frame }) => { if (group !== null) for (const session of destination.index.ofOwner(group)) session.sendFrame(frame) }, lost })
    log.subscribe(this.#channels.ref, { deliver: ({ group, frame }) => { if (group !== null) destination.index.ofRef(group)?.sendFrame(frame) }, lost })
  }

  /** @param group null for all sessions */
  publish (group: string | null, frame: Frame, except: TetherSession | null, epoch?: number): void {
    this.#log.publish({ url: this.#url, group, except: except === null ? null : except.ref, frame, epoch })
  }

  /** Sends an update to the sessions of one owner, or to one session, wherever they are. */
  publishTo (kind: 'user' | 'ref', name: string, frame: Frame): void {
    this.#log.publish({ url: this.#channels[kind], group: name, except: null, frame })
  }

  synced (): Promise<void> {
    return this.#log.synced()
  }

  /**
   * Gives a session that is in no audience what its groups and topics got behind a position in the log.
   *
   * @param position null for a position that is not known: the session gets a gap
   * @param isComplete whether the log still has all of that
   * @param epochs says which updates of producers count; null without topics
   * @returns the newest text of each value of its topics, by key; null if it got a gap
   */
  replay (session: TetherSession, position: LogPosition | null, isComplete: boolean, epochs: EpochFilter | null = null): ReadonlyMap<string, string> | null {
    const values = new Map<string, string>()
    let isLossy = position === null || !isComplete
    if (isLossy) session.feed.lose()
    if (position === null) return null
    const { ref, boundTo } = session
    const { user, ref: one } = this.#channels
    const isForIt = (url: string, group: string | null, except: string | null, frame: Frame) => url === this.#url
      ? except !== ref && isFor(session, group, frame)
      : group !== null && ((url === user && group === boundTo) || (url === one && group === ref))
    this.#log.replay(position, {
      deliver: ({ url, group, except, frame, epoch }) => {
        if (epochs?.read(url, frame) === true || !isForIt(url, group, except, frame)) return
        if (epoch !== undefined && epochs?.admits(topicOf(frame)!, epoch) === false) return
        session.feed.append(frame)
        if (frame.key !== null && topicOf(frame) !== null) values.set(frame.key, frame.text)
      },
      lost: () => {
        isLossy = true
        session.feed.lose()
      },
      pause: () => { session.feed.scheduleAppended() }
    })
    return isLossy ? null : values
  }

  deliver ({ group, except, frame, epoch }: Broadcast, at: Offset): void {
    const { everyone, groups, topics, index, runtime } = this.#destination
    if (topics !== null && group === null && topicOf(frame) !== null) return topics.deliver(frame, at, epoch)
    const audience = group === null ? everyone : groups.audience(group)
    const left = except === null ? null : index.ofRef(except) ?? null
    if (audience !== undefined && audience.size > 0) runtime.broadcasts.push(audience, left, frame)
  }

  lost (): void {
    this.#destination.topics?.lost()
    // Its hooks run later, so no session comes or goes meanwhile, but for those whose stream a write ends.
    for (const session of [...this.#destination.everyone.members]) session.noteLoss()
  }
}

/** Whether a broadcast to a group, to the subscribers of a topic or to all is for a session. */
function isFor ({ groups, subscriptions }: TetherSession, group: string | null, frame: Frame): boolean {
  if (group !== null) return groups?.has(group) === true
  const topic = topicOf(frame)
  if (topic === null) return true
  for (const { name } of subscriptions?.keys() ?? []) if (name === topic) return true
  return false
}
