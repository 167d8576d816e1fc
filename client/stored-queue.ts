import { advance, settle, type Mark } from './marked-link.ts'
import { storedDefaults } from './stored-defaults.ts'

/** An event that an earlier page left. */
export interface StoredEvent {
  /** Position among all events, in their order. */
  readonly id: number
  readonly name: string
  readonly data: unknown
  /** Time of the emit, in milliseconds since 1970. */
  readonly at: number
}

/** A mark and its session; see `ResumePoint`. */
interface SessionMark extends Mark {
  session: string | undefined
}

/** Events of one page in IndexedDB. */
export interface StoredQueue extends SessionMark {
  /** Events that an earlier page left, oldest first. */
  readonly events: readonly StoredEvent[]
  /** Events that will not be sent, and why: too old, or perhaps sent by a page whose session is not resumed. */
  readonly lost: ReadonlyArray<[event: StoredEvent, code: 'TETHER_EXPIRED' | 'TETHER_IN_DOUBT']>
  /** Notes that `count` events after `accepted` are about to be sent. */
  mark: (session: string, accepted: number, count: number) => Promise<unknown>
  /** @throws for data that JSON cannot hold */
  add: (name: string, data: unknown) => number
  remove: (id: number) => void
  release: () => void
}

/** Row of one queue. */
interface Slot extends SessionMark {
  slot: string
}

/** The key of each object store. */
const stores = { slots: 'slot', events: ['slot', 'id'] }

type Row = StoredEvent & { slot: string }

/** A slot that this page has locked, and the function that releases it. */
type Held = [slot: string, release: () => void]

/** Longest wait for IndexedDB, in milliseconds. Beyond, the page goes on without it. */
const patienceMs = 2_000

/**
 * Opens the first queue of this name that no other page holds, with the events of all queues that no page holds.
 *
 * @throws where IndexedDB or Web Locks are absent or broken
 */
export async function openQueue (name: string, maxAgeMs: number = storedDefaults.maxAgeMs): Promise<StoredQueue> {
  const free: Held[] = []
  const database = await openDatabase()
  try {
    return await takeQueue(database, free, name, maxAgeMs)
  } catch (error) {
    for (const [, release] of free) release()
    database.close()
    throw error
  }
}

async function takeQueue (database: IDBDatabase, free: Held[], name: string, maxAgeMs: number): Promise<StoredQueue> {
  const slots = await ask(database.transaction('slots').objectStore('slots').getAllKeys()) as string[]
  for (const slot of slots) {
    // A name may contain spaces, an id cannot.
    const release = slot.slice(0, slot.lastIndexOf(' ')) === name && await lock(slot)
    if (release) free.push([slot, release])
  }
  while (free.length === 0) {
    const slot = `${name} ${crypto.randomUUID()}`
    const release = await lock(slot)
    if (release !== null) free.push([slot, release])
  }
  const [[own, release], ...others] = free as [Held, ...Held[]]
  const begin = () => database.transaction(['slots', 'events'], 'readwrite')
  const transaction = begin()
  const slotStore = transaction.objectStore('slots')
  // Read under the lock: the previous holder may have written until it released.
  const read = async (slot: string): Promise<Slot> => await ask<Slot | undefined>(slotStore.get(slot)) ?? { slot, session: undefined, accepted: 0, doubtful: 0 }
  const mine = await read(own)
  const range = IDBKeyRange.bound([own], [own, []])
  const rowStore = transaction.objectStore('events')
  const rows = await ask<Row[]>(rowStore.getAll())
  // A page whose writes failed may have left fewer events than its mark says.
  mine.doubtful = Math.min(mine.doubtful, rows.filter(({ slot }) => slot === own).length)
  const of = (slot: string) => rows.filter((row) => row.slot === slot).sort((left, right) => left.id - right.id)
  const oldest = Date.now() - maxAgeMs
  let nextId = rows.reduce((last, { id }) => Math.max(last, id), 0) + 1
  const lost: Array<[StoredEvent, 'TETHER_EXPIRED' | 'TETHER_IN_DOUBT']> = []
  const events: Row[] = []
  for (const [index, row] of of(mine.slot).entries()) {
    // An event whose number may be taken is sent again, however old.
    if (index < mine.doubtful || (row.at >= oldest && !isOfTopic(row))) events.push(row)
    else {
      if (!isOfTopic(row)) lost.push([row, 'TETHER_EXPIRED'])
      rowStore.delete([row.slot, row.id])
    }
  }
  for (const [slot] of others) {
    const other = await read(slot)
    for (const [index, row] of of(slot).entries()) {
      rowStore.delete([row.slot, row.id])
      if (isOfTopic(row)) continue
      if (index < other.doubtful) lost.push([row, 'TETHER_IN_DOUBT'])
      else if (row.at < oldest) lost.push([row, 'TETHER_EXPIRED'])
      else {
        const moved = { ...row, slot: mine.slot, id: nextId++ }
        events.push(moved)
        rowStore.put(moved)
      }
    }
    slotStore.delete(slot)
  }
  slotStore.put(mine)
  await done(transaction)
  for (const [, releaseOther] of others) releaseOther()
  const { session, accepted, doubtful } = mine
  /** All waiting events, in order. */
  const order = [...events]

  /** Opening of a new database connection, after the browser closed the last one. */
  let opening: Promise<void> | undefined
  /** Whether a write failed or the database was lost. The next write then stores everything again. */
  let isStale = false
  const attempt = async (work: (slots: IDBObjectStore, events: IDBObjectStore) => void): Promise<void> => {
    let transaction: IDBTransaction
    try {
      transaction = begin()
    } catch {
      // All writers wait for the same opening, so that they stay in order.
      await (opening ??= openDatabase()
        .then((opened) => {
          database.close()
          database = opened
          isStale = true
        })
        .finally(() => { opening = undefined }))
      transaction = begin()
    }
    const slots = transaction.objectStore('slots')
    const events = transaction.objectStore('events')
    if (isStale) {
      isStale = false
      slots.put(mine)
      events.delete(range)
      for (const row of order) events.put(row)
    } else work(slots, events)
    await done(transaction)
  }
  let isFailing = false
  const write = (work: Parameters<typeof attempt>[0]): Promise<void> => attempt(work).then(
    () => { isFailing = false },
    () => { isFailing = isStale = true }
  )

  return {
    session,
    accepted,
    doubtful,
    events,
    lost,
    mark (session, accepted, count) {
      if (mine.session !== session) Object.assign(mine, { session, accepted, doubtful: 0 })
      advance(mine, accepted, count)
      const writing = write((slots) => slots.put(mine))
      // A broken database delays one request, not each.
      return isFailing ? Promise.resolve() : writing
    },
    add (name, data) {
      // Copied by JSON, as it is sent. IndexedDB cannot store a proxy or an object with methods.
      const row = { id: nextId, slot: mine.slot, name, data: JSON.parse(JSON.stringify({ data })).data, at: Date.now() }
      nextId++
      order.push(row)
      write((_slots, events) => events.put(row))
      return row.id
    },
    remove (id) {
      if (!settle(mine, order, id)) return
      write((slots, events) => {
        slots.put(mine)
        events.delete([mine.slot, id])
      })
    },
    release
  }
}

/** A subscription belongs to its page. It is only kept for its number, which may be taken. */
export function isOfTopic ({ name }: StoredEvent): boolean {
  return name.startsWith('tether.')
}

async function openDatabase (version?: number): Promise<IDBDatabase> {
  const request = indexedDB.open('fastify-tether', version)
  const missing = () => Object.entries(stores).filter(([name]) => !request.result.objectStoreNames.contains(name))
  request.onupgradeneeded = () => {
    for (const [name, keyPath] of missing()) request.result.createObjectStore(name, { keyPath })
  }
  // Takes for ever while the database is being deleted and another page keeps it open.
  const database = await ask(request).catch((error) => {
    request.onsuccess = () => request.result.close()
    throw error
  })
  database.onversionchange = () => database.close()
  if (missing().length === 0) return database
  database.close()
  return openDatabase(database.version + 1)
}

function ask<Result> (request: IDBRequest<Result>): Promise<Result> {
  return soon(request.transaction, (resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

function done (transaction: IDBTransaction): Promise<void> {
  return soon(transaction, (resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error)
  })
}

/** Runs `begin` within a bounded time. A transaction that takes longer is aborted. */
function soon<Result> (transaction: IDBTransaction | null, begin: (resolve: (value: Result) => void, reject: (error: unknown) => void) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error('IndexedDB does not answer'))
      try {
        transaction?.abort()
      } catch { /* the transaction has ended already */ }
    }, patienceMs)
    const settle = <Value>(how: (value: Value) => void) => (value: Value) => {
      clearTimeout(timer)
      how(value)
    }
    begin(settle(resolve), settle(reject))
  })
}

/** Takes a lock for the life of the page. Resolves with the function that releases it, or with null if another page holds it. */
function lock (name: string): Promise<(() => void) | null> {
  return new Promise((resolve, reject) => {
    navigator.locks.request(`fastify-tether ${name}`, { ifAvailable: true }, (granted) => {
      if (granted === null) return resolve(null)
      let free = () => {}
      const held = new Promise<void>((resolve) => { free = resolve })
      resolve(free)
      return held
    }).catch(reject)
  })
}
