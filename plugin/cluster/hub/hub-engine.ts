import type { Engine, EngineAbilities, EngineEvents, EngineRecord, LogEntry, Offset, PutOptions } from '../engine.ts'
import type { CallArguments, CallResult, HubCall } from './hub.ts'

/** An engine whose methods are calls of a hub. */
export abstract class HubEngine implements Engine {
  abstract readonly can: EngineAbilities
  abstract open (node: string, on: EngineEvents): Promise<void>
  abstract close (): Promise<void>
  /**
   * Brings a call to the hub, and its result back. Keeps the order of the calls.
   *
   * @param bytes of the call's buffers
   */
  protected abstract call<Name extends HubCall> (name: Name, bytes: number, ...args: CallArguments<Name>): Promise<CallResult<Name>>

  async append (entry: Buffer): Promise<void> {
    await this.call('append', entry.length, entry)
  }

  async range (after: Offset | null, limit: number): Promise<LogEntry[]> {
    const found = await this.call('range', 0, after, limit)
    return found.map(([at, bytes]) => ({ at, bytes }))
  }

  async send (node: string, message: Buffer): Promise<void> {
    await this.call('send', message.length, node, message)
  }

  async get (key: string): Promise<EngineRecord | null> {
    const found = await this.call('get', 0, key)
    return found === null ? null : { revision: found[0], value: found[1] }
  }

  async put (key: string, value: Buffer, ifRevision: string | null, { ttlMs, dueAt }: PutOptions): Promise<string | null> {
    return await this.call('put', value.length, key, value, ifRevision, ttlMs, dueAt ?? null)
  }

  async renew (leaseMs: number, card: Buffer): Promise<void> {
    await this.call('renew', card.length, leaseMs, card)
  }

  async nodes (): Promise<Map<string, Buffer>> {
    return new Map(await this.call('nodes', 0))
  }

  async due (now: number, limit: number): Promise<string[]> {
    return await this.call('due', 0, now, limit)
  }

  async journal (key: string, revision: string, entry: Buffer): Promise<boolean> {
    return await this.call('journal', entry.length, key, revision, entry)
  }

  async journalOf (key: string): Promise<Buffer[]> {
    return await this.call('journalOf', 0, key)
  }
}
