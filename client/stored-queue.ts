import { advance, settle, type Mark } from './marked-link.ts'
import { storedDefaults } from './stored-defaults.ts'

/** An event as an earlier page left it. */
export interface StoredEvent {
  /** Its place in the order of all. */
  readonly id: number
  readonly name: string
  readonly data: unknown
  /** When it was emitted, milliseconds since 1970. */
  readonly at: number
}

/** What is noted of a session: see `ResumePoint`. */
interface SessionMark extends Mark {
  session: string | undefined
}

/** One page's events in IndexedDB. */
export interface StoredQueue extends SessionMark {
  /** What an earlier page left, oldest first. */
  readonly events: readonly StoredEvent[]
  /** What will not be sent, and why: it was too old, or was perhaps sent by a page whose session nobody resumes. */
  readonly lost: ReadonlyArray<[event: StoredEvent, code: 'TETHER_EXPIRED' | 'TETHER_IN_DOUBT']>
  /** Notes that so many events after `accepted` are about to be sent. */
  mark: (session: string, accepted: number, count: number) => Promise<unknown>
  /** @throws for data that no JSON can hold. */
  add: (name: string, data: unknown) => number
  remove: (id: number) => void
  release: () => void
}

/** What is kept under the key of one queue. */
interface Slot extends SessionMark {
  slot: string
}

/** By name, its key. */
const stores = { slots: 'slot', events: ['slot', 'id'] }

type Row = StoredEvent & { slot: string }

/** A slot that no other page has, and what gives its lock back. */
type Held = [slot: string, release: () => void]

/** Milliseconds in which IndexedDB must have done a thing; then all goes on without it. */
const patienceMs = 2_000

/**
 * Opens the first queue of this name that no other page has, with what was left in it
 * and in others that nobody has.
 *
 * @throws where there is no IndexedDB or no Web Locks, or either does not work.
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
    // A name may hold spaces, an id does not.
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
  // Only now, since whoever had it may have written until its lock was free.
  const read = async (slot: string): Promise<Slot> => await ask<Slot | undefined>(slotStore.get(slot)) ?? { slot, session: undefined, accepted: 0, doubtful: 0 }
  const mine = await read(own)
  const range = IDBKeyRange.bound([own], [own, []])
  const rowStore = transaction.objectStore('events')
  const rows = await ask<Row[]>(rowStore.getAll())
  // Of a page that could note no more, less may be there.
  mine.doubtful = Math.min(mine.doubtful, rows.filter(({ slot }) => slot === own).length)
  const of = (slot: string) => rows.filter((row) => row.slot === slot).sort((left, right) => left.id - right.id)
  const oldest = Date.now() - maxAgeMs
  let nextId = rows.reduce((last, { id }) => Math.max(last, id), 0) + 1
  const lost: Array<[StoredEvent, 'TETHER_EXPIRED' | 'TETHER_IN_DOUBT']> = []
  const events: Row[] = []
  for (const [index, row] of of(mine.slot).entries()) {
    // A number that may have been taken has to be asked for again, however old.
    if (index < mine.doubtful || row.at >= oldest) events.push(row)
    else {
      lost.push([row, 'TETHER_EXPIRED'])
      rowStore.delete([row.slot, row.id])
    }
  }
  for (const [slot] of others) {
    const other = await read(slot)
    for (const [index, row] of of(slot).entries()) {
      rowStore.delete([row.slot, row.id])
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
  /** All that wait, in order. */
  const order = [...events]

  /** Of the database, after the browser closed it. */
  let opening: Promise<void> | undefined
  /** Whether something could not be written, or is gone: all is written anew, then. */
  let isStale = false
  const attempt = async (work: (slots: IDBObjectStore, events: IDBObjectStore) => void): Promise<void> => {
    let transaction: IDBTransaction
    try {
      transaction = begin()
    } catch {
      // One for all who wait, so that they stay in order.
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
      // Nothing is held up again and again by a database that does not work.
      return isFailing ? Promise.resolve() : writing
    },
    add (name, data) {
      // What is sent is JSON; as it is, a proxy or what has methods could not be stored.
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

async function openDatabase (version?: number): Promise<IDBDatabase> {
  const request = indexedDB.open('fastify-tether', version)
  const missing = () => Object.entries(stores).filter(([name]) => !request.result.objectStoreNames.contains(name))
  request.onupgradeneeded = () => {
    for (const [name, keyPath] of missing()) request.result.createObjectStore(name, { keyPath })
  }
  // While a page has it open that does not give way to its deletion, this takes for ever.
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

/** What `begin` promises, in a bounded time; what takes longer is to have no effect. */
function soon<Result> (transaction: IDBTransaction | null, begin: (resolve: (value: Result) => void, reject: (error: unknown) => void) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error('IndexedDB does not answer'))
      try {
        transaction?.abort()
      } catch { /* it is over, and only the news of it are late */ }
    }, patienceMs)
    const settle = <Value>(how: (value: Value) => void) => (value: Value) => {
      clearTimeout(timer)
      how(value)
    }
    begin(settle(resolve), settle(reject))
  })
}

/** Takes a lock for as long as the page lives; gives what releases it, or null when somebody has it. */
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
