/** An entry of a stream, by its id. */
export interface StreamEntry {
  readonly id: string
  /** The values by field. */
  readonly fields: ReadonlyMap<string, Buffer>
}

export function bytesOf (value: unknown): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(String(value))
}

export function textOf (value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value)
}

/** A reply of pairs: a list of pairs, a flat list, a map, or an object. Libraries and protocols differ. */
function pairsOf (reply: unknown): Array<readonly [unknown, unknown]> {
  if (reply === null || reply === undefined) return []
  if (reply instanceof Map) return [...reply]
  if (!Array.isArray(reply)) return Object.entries(reply)
  if (Array.isArray(reply[0])) return reply as Array<[unknown, unknown]>
  const pairs: Array<readonly [unknown, unknown]> = []
  for (let at = 0; at + 1 < reply.length; at += 2) pairs.push([reply[at], reply[at + 1]])
  return pairs
}

/** The entries of a reply of XRANGE. */
export function entriesOf (reply: unknown): StreamEntry[] {
  const entries: StreamEntry[] = []
  for (const entry of Array.isArray(reply) ? reply : []) {
    // An entry that was deleted while it was read has no fields.
    if (!Array.isArray(entry) || entry[1] === null) continue
    entries.push({ id: textOf(entry[0]), fields: new Map(pairsOf(entry[1]).map(([field, value]) => [textOf(field), bytesOf(value)])) })
  }
  return entries
}

/** The entries of a reply of XREAD, by key. */
export function streamsOf (reply: unknown): Map<string, StreamEntry[]> {
  return new Map(pairsOf(reply).map(([key, entries]) => [bytesOf(key).toString(), entriesOf(entries)]))
}

/** The masters in a reply of CLUSTER SLOTS, in any order made the same. */
export function mastersOf (reply: unknown): string {
  const masters = new Set<string>()
  for (const range of Array.isArray(reply) ? reply as unknown[][] : []) {
    // From, to, and the servers: the master first, each with address, port and id.
    const master = range[2]
    if (Array.isArray(master)) masters.add(textOf(master[2] ?? master.slice(0, 2).map(textOf).join(':')))
  }
  return [...masters].sort().join()
}
