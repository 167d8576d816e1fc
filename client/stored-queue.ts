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
interface Mark {
  session: string | undefined
  accepted: number
  doubtful: number
}

/** One page's events in IndexedDB. */
export interface StoredQueue extends Mark {
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
interface Slot extends Mark {
  slot: string
}

type Row = StoredEvent & { slot: string }

/** A slot that no other page has, and what gives its lock back. */
type Held = [slot: string, release: () => void]

/**
 * Opens the first queue of this name that no other page has, with what was left in it
 * and in others that nobody has.
 *
 * @throws where there is no IndexedDB or no Web Locks.
 */
export async function openQueue (name: string, maxAgeMs: number = storedDefaults.maxAgeMs): Promise<StoredQueue> {
  let database = await openDatabase()
  const slots = await ask(database.transaction('slots').objectStore('slots').getAllKeys()) as string[]
  const free: Held[] = []
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
  const rowStore = transaction.objectStore('events')
  const rows = await ask<Row[]>(rowStore.getAll())
  const of = (slot: string) => rows.filter((row) => row.slot === slot).sort((left, right) => left.id - right.id)
  const oldest = Date.now() - maxAgeMs
  let nextId = rows.reduce((last, { id }) => Math.max(last, id), 0) + 1
  const lost: Array<[StoredEvent, 'TETHER_EXPIRED' | 'TETHER_IN_DOUBT']> = []
  const events: StoredEvent[] = []
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
  /** Ids of all that wait, in order. */
  const order = events.map(({ id }) => id)

  /** Of the database, after the browser closed it. */
  let opening: Promise<void> | undefined
  const write = async (work: (slots: IDBObjectStore, events: IDBObjectStore) => void): Promise<void> => {
    let transaction: IDBTransaction
    try {
      transaction = begin()
    } catch {
      // One for all who wait, so that they stay in order.
      await (opening ??= openDatabase()
        .then((opened) => { database = opened })
        .finally(() => { opening = undefined }))
      transaction = begin()
    }
    work(transaction.objectStore('slots'), transaction.objectStore('events'))
    await done(transaction)
  }
  const ignore = () => {}

  return {
    session,
    accepted,
    doubtful,
    events,
    lost,
    mark (session, accepted, count) {
      const ahead = accepted - mine.accepted
      // Behind others that are on their way.
      if (mine.session === session && ahead >= 0 && ahead <= mine.doubtful) mine.doubtful = Math.max(mine.doubtful, ahead + count)
      else Object.assign(mine, { session, accepted, doubtful: count })
      return write((slots) => slots.put(mine)).catch(ignore)
    },
    add (name, data) {
      // What is sent is JSON; as it is, a proxy or what has methods could not be stored.
      const row = { id: nextId, slot: mine.slot, name, data: JSON.parse(JSON.stringify({ data })).data, at: Date.now() }
      nextId++
      order.push(row.id)
      write((_slots, events) => events.put(row)).catch(ignore)
      return row.id
    },
    remove (id) {
      const index = order.indexOf(id)
      if (index < 0) return
      order.splice(index, 1)
      if (index < mine.doubtful) {
        mine.doubtful--
        mine.accepted++
      }
      write((slots, events) => {
        slots.put(mine)
        events.delete([mine.slot, id])
      }).catch(ignore)
    },
    release
  }
}

function openDatabase (): Promise<IDBDatabase> {
  const request = indexedDB.open('fastify-tether', 1)
  request.onupgradeneeded = () => {
    request.result.createObjectStore('slots', { keyPath: 'slot' })
    request.result.createObjectStore('events', { keyPath: ['slot', 'id'] })
  }
  return ask(request)
}

function ask<Result> (request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

function done (transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error)
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
