import type { ClusterMember } from '../cluster/api.ts'
import type { Clock } from '../cluster/hub/clock.ts'
import { replies, type NodeCalls, type Reply } from '../cluster/node-calls.ts'
import { UnavailableError } from '../../schemas/errors.ts'
import { isRecord } from '../../schemas/record.ts'
import type { Located, SessionDirectory } from '../sessions/directory.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { Place } from './ownership.ts'

/** The node, as the directory sees it. */
interface DirectoryNode {
  readonly node: string
  readonly calls: Pick<NodeCalls, 'ask' | 'respond'>
  nodes: () => readonly ClusterMember[]
}

export interface DirectoryParts {
  readonly node: DirectoryNode
  readonly options: { readonly forwardMs: number }
  readonly clock: Pick<Clock, 'setTimeout'>
  /** Where the record of a session says that it is. */
  readonly ownership: {
    /** Null if there is none. Rejects if nobody can tell. */
    placeOf: (endpoint: Endpoint, ref: string) => Promise<Place | null>
    /** Brings a session here that the engine has, and closes it. Gives false if it is no longer there. */
    closeFrozen: (endpoint: Endpoint, ref: string, reason: string, reconnect: boolean) => Promise<boolean>
  }
}

/** Requests between nodes. */
const requests = { find: 'find', close: 'close', members: 'members' } as const

/** How often a session that moves meanwhile is looked for, and the milliseconds between. */
const attempts = 8
const pauseMs = 50

/** Most members that one request gets: an answer must fit into a message. */
const mostMembers = 10_000

/** Finds sessions on other nodes, for the application. */
export class Directory {
  readonly #parts: DirectoryParts
  readonly #endpoints = new Map<string, Endpoint>()

  constructor (parts: DirectoryParts) {
    this.#parts = parts
    const { calls } = parts.node
    calls.respond(requests.find, (_from, data) => this.#found(data))
    calls.respond(requests.close, (_from, data) => this.#close(data))
    calls.respond(requests.members, (_from, data) => this.#members(data))
  }

  directoryFor (endpoint: Endpoint): SessionDirectory {
    this.#endpoints.set(endpoint.url, endpoint)
    const { node } = this.#parts.node
    return {
      node,
      find: (ref) => this.#find(endpoint, ref),
      close: (ref, reason, reconnect) => this.#closeElsewhere(endpoint, ref, reason, reconnect),
      members: (group, limit) => this.#membersElsewhere(endpoint, group, limit)
    }
  }

  // For this node

  async #find (endpoint: Endpoint, ref: string): Promise<Located | null> {
    if (endpoint.keeper === null) {
      const found = (await this.#askAll(endpoint, requests.find, { ref })).find(({ reply }) => reply.name === requests.find)
      return found === undefined ? null : { ref, node: found.node, connected: isConnected(found.reply) }
    }
    return await this.#follow(endpoint, ref, async (place) => {
      if (place.node === null || place.isMoving) return { ref, node: place.node, connected: false }
      if (place.node === this.#parts.node.node) {
        const session = openSession(endpoint, ref)
        return session === null ? null : { ref, node: place.node, connected: session.connected }
      }
      const reply = await this.#ask(place.node, endpoint, requests.find, { ref })
      return reply.name === requests.find ? { ref, node: place.node, connected: isConnected(reply) } : null
    })
  }

  async #closeElsewhere (endpoint: Endpoint, ref: string, reason: string, reconnect: boolean): Promise<boolean> {
    const data = { ref, reason, reconnect }
    if (endpoint.keeper === null) return (await this.#askAll(endpoint, requests.close, data)).some(({ reply }) => reply.name === requests.close)
    return await this.#follow(endpoint, ref, async (place) => {
      if (place.node === null) return await this.#parts.ownership.closeFrozen(endpoint, ref, reason, reconnect) || null
      if (place.node === this.#parts.node.node) return closeHere(endpoint, ref, reason, reconnect) || null
      return (await this.#ask(place.node, endpoint, requests.close, data)).name === requests.close || null
    }) ?? false
  }

  /** Looks for a session until it is where its record says. Gives null if there is none. */
  async #follow<Result> (endpoint: Endpoint, ref: string, reach: (place: Place) => Promise<Result | null>): Promise<Result | null> {
    let last: string | null = null
    for (let attempt = 0; attempt < attempts; attempt++) {
      const place = await this.#parts.ownership.placeOf(endpoint, ref)
      if (place === null) return null
      if (place.revision === last) {
        // Its node does not have it, and nobody else does: its end was not written yet, or could not be.
        if (!place.isMoving) return null
        await new Promise<void>((resolve) => { this.#parts.clock.setTimeout(resolve, pauseMs) })
      }
      last = place.revision
      const result = await reach(place)
      if (result !== null) return result
    }
    throw new UnavailableError()
  }

  async #membersElsewhere (endpoint: Endpoint, group: string, limit: number): Promise<Located[]> {
    const answers = await this.#askAll(endpoint, requests.members, { group, limit: Math.min(limit, mostMembers) })
    return answers.flatMap(({ node, reply }) => membersOf(reply).map(([ref, connected]) => ({ ref, node, connected }))).slice(0, limit)
  }

  /** Asks all other nodes. Rejects if one does not answer. */
  async #askAll (endpoint: Endpoint, name: string, data: object): Promise<Array<{ readonly node: string, readonly reply: Reply }>> {
    const others = this.#parts.node.nodes().filter(({ isSelf }) => !isSelf)
    return await Promise.all(others.map(async ({ name: node }) => ({ node, reply: await this.#ask(node, endpoint, name, data) })))
  }

  async #ask (node: string, { url }: Endpoint, name: string, data: object): Promise<Reply> {
    const { node: { calls }, options } = this.#parts
    const reply = await calls.ask(node, name, { ...data, url }, options.forwardMs)
    if (reply.name === replies.busy || reply.name === replies.failed) throw new UnavailableError()
    return reply
  }

  // For other nodes

  #endpointOf (data: unknown): { readonly endpoint: Endpoint, readonly asked: Record<string, unknown> } | null {
    const endpoint = isRecord(data) && typeof data.url === 'string' ? this.#endpoints.get(data.url) : undefined
    return endpoint === undefined ? null : { endpoint, asked: data as Record<string, unknown> }
  }

  #found (data: unknown): Reply {
    const asked = this.#endpointOf(data)
    const found = asked === null ? null : openSession(asked.endpoint, String(asked.asked.ref))
    return found === null ? none : { name: requests.find, data: found.connected }
  }

  #close (data: unknown): Reply {
    const asked = this.#endpointOf(data)
    if (asked === null) return none
    const { ref, reason, reconnect } = asked.asked
    const isClosing = closeHere(asked.endpoint, String(ref), typeof reason === 'string' ? reason : 'closed', reconnect === true)
    return isClosing ? { name: requests.close, data: null } : none
  }

  #members (data: unknown): Reply {
    const asked = this.#endpointOf(data)
    if (asked === null) return none
    const { group, limit } = asked.asked
    const most = Number.isSafeInteger(limit) ? Math.min(limit as number, mostMembers) : 0
    const members: Array<readonly [string, boolean]> = []
    for (const { ref, connected } of asked.endpoint.groups.members(String(group)) ?? []) {
      if (members.length >= most) break
      members.push([ref, connected])
    }
    return { name: requests.members, data: members }
  }
}

const none: Reply = { name: 'none', data: null }

/** An open session of this node. */
function openSession ({ index }: Endpoint, ref: string): TetherSession | null {
  const session = index.ofRef(ref)
  return session?.isOpen === true ? session : null
}

/** Begins to close a session of this node. Returns false if there is none. */
function closeHere (endpoint: Endpoint, ref: string, reason: string, reconnect: boolean): boolean {
  const session = openSession(endpoint, ref)
  session?.close(reason, { reconnect })
  return session !== null
}

function isConnected ({ data }: Reply): boolean {
  return data === true
}

function membersOf ({ data }: Reply): Array<readonly [string, boolean]> {
  if (!Array.isArray(data)) return []
  return data.flatMap((one: unknown) => Array.isArray(one) && typeof one[0] === 'string' ? [[one[0], one[1] === true] as const] : [])
}
