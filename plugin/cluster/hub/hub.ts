import type { HubStore } from './hub-store.ts'

/** A connected node, as a hub sees it. */
export interface Member {
  /** The log has entries that the member has not got yet. */
  grown: () => void
  message: (from: string, bytes: Buffer) => void
}

/** Joins the nodes of one application: what they ask runs here, at once, in the order in which it arrives. */
export class Hub {
  readonly store: HubStore
  readonly #members = new Map<string, Member>()

  constructor (store: HubStore) {
    this.store = store
  }

  /** Adds a node. Its latest connection is the one that counts. */
  join (node: string, member: Member): void {
    this.#members.set(node, member)
  }

  /** Removes a connection. The lease of its node goes on. */
  part (node: string, member: Member): void {
    if (this.#members.get(node) === member) this.#members.delete(node)
  }

  append (bytes: Buffer): void {
    this.store.append(bytes)
    for (const member of this.#members.values()) member.grown()
  }

  send (from: string, to: string, message: Buffer): void {
    this.#members.get(to)?.message(from, message)
  }
}

/** What a node may ask of its hub, by name. The results are values of the wire. */
export const hubCalls = {
  append: (hub: Hub, _node: string, bytes: Buffer): null => {
    hub.append(bytes)
    return null
  },
  range: ({ store }: Hub, _node: string, after: string | null, limit: number): Array<[at: string, bytes: Buffer]> => store.range(after, limit).map(({ at, bytes }) => [at, bytes]),
  send: (hub: Hub, node: string, to: string, message: Buffer): null => {
    hub.send(node, to, message)
    return null
  },
  get: ({ store }: Hub, _node: string, key: string): [revision: string, value: Buffer] | null => {
    const found = store.get(key)
    return found === null ? null : [found.revision, found.value]
  },
  put: ({ store }: Hub, _node: string, key: string, value: Buffer, ifRevision: string | null, ttlMs: number, dueAt: number | null): string | null => store.put(key, value, ifRevision, ttlMs, dueAt),
  renew: ({ store }: Hub, node: string, leaseMs: number, card: Buffer): null => {
    store.renew(node, leaseMs, card)
    return null
  },
  nodes: ({ store }: Hub, _node: string): Array<[node: string, card: Buffer]> => store.nodes(),
  due: ({ store }: Hub, _node: string, now: number, limit: number): string[] => store.due(now, limit),
  journal: ({ store }: Hub, _node: string, key: string, revision: string, entry: Buffer): boolean => store.journal(key, revision, entry),
  journalOf: ({ store }: Hub, _node: string, key: string): Buffer[] => store.journalOf(key),
  leave: ({ store }: Hub, node: string): null => {
    store.leave(node)
    return null
  }
}

export type HubCall = keyof typeof hubCalls
type Tail<List extends unknown[]> = List extends [unknown, unknown, ...infer Rest] ? Rest : never
export type CallArguments<Name extends HubCall> = Tail<Parameters<typeof hubCalls[Name]>>
export type CallResult<Name extends HubCall> = ReturnType<typeof hubCalls[Name]>
