import { ArgumentError } from '../../schemas/errors.ts'
import type { CompiledContract } from '../contract/compiled-contract.ts'
import type { FoundSession } from './api.ts'
import { checkClose } from './close-options.ts'
import type { Located, SessionDirectory } from './directory.ts'
import type { Relay } from './relay.ts'
import { isSessionId, refOf } from './session-id.ts'
import type { SessionIndex } from './session-index.ts'
import type { TetherSession } from './session.ts'

/** The name of a process that is alone. */
const alone = 'local'

const defaultLimit = 100

/** The endpoint of a finder. */
interface FinderScope {
  readonly contract: CompiledContract
  readonly index: SessionIndex
  readonly groups: { members: (name: string) => ReadonlySet<TetherSession> | undefined }
}

/** Finds sessions, wherever they are, for the application. */
export class Finder {
  readonly #scope: FinderScope
  readonly #relay: Relay | null
  readonly #directory: SessionDirectory | null

  /** @param relay to other nodes, and the directory of their sessions; null for this node alone */
  constructor (scope: FinderScope, relay: Relay | null, directory: SessionDirectory | null) {
    this.#scope = scope
    this.#relay = relay
    this.#directory = directory
  }

  async find (idOrRef: string): Promise<FoundSession | null> {
    const ref = isSessionId(idOrRef) ? refOf(idOrRef) : idOrRef
    if (typeof ref !== 'string' || !/^[A-Za-z0-9_-]{22}$/.test(ref)) return null
    const session = this.#here(ref)
    if (session !== undefined) return this.#found(this.#locate(session))
    const located = await this.#directory?.find(ref) ?? null
    return located === null ? null : this.#found(located)
  }

  async members (group: string, limit = defaultLimit): Promise<FoundSession[]> {
    if (!Number.isSafeInteger(limit) || limit < 1) throw new ArgumentError(`the limit of members() is a whole number from 1; got ${String(limit)}`)
    const located: Located[] = []
    for (const session of this.#scope.groups.members(group) ?? []) {
      if (located.length === limit) break
      located.push(this.#locate(session))
    }
    if (located.length < limit && this.#directory !== null) located.push(...await this.#directory.members(group, limit - located.length))
    return located.map((one) => this.#found(one))
  }

  #here (ref: string): TetherSession | undefined {
    const session = this.#scope.index.ofRef(ref)
    return session?.isOpen === true ? session : undefined
  }

  #locate ({ ref, connected }: TetherSession): Located {
    return { ref, node: this.#directory?.node ?? alone, connected }
  }

  #found ({ ref, node, connected }: Located): FoundSession {
    return Object.freeze({
      ref,
      node,
      connected,
      send: (name: string, data: unknown) => this.#send(ref, name, data),
      close: (reason?: string, options?: { reconnect?: boolean }) => this.#close(ref, reason, options)
    })
  }

  #send (ref: string, name: string, data: unknown): Promise<boolean> {
    const relay = this.#relay
    const frame = this.#scope.contract.encode(name, data)
    if (relay === null) return this.#here(ref)?.sendFrame(frame) ?? Promise.resolve(false)
    relay.publishTo('ref', ref, frame)
    return relay.synced().then(() => true, () => false)
  }

  async #close (ref: string, reason = 'closed', options: { reconnect?: boolean } = {}): Promise<boolean> {
    checkClose(reason, options)
    const reconnect = options.reconnect === true
    const session = this.#here(ref)
    if (session === undefined) return await this.#directory?.close(ref, reason, reconnect) ?? false
    await session.close(reason, { reconnect })
    return true
  }
}
