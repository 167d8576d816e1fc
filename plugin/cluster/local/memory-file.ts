import { closeSync, openSync, readFileSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'
import type { Change } from '../hub/hub-store.ts'
import { encodeFrame, FrameReader, type WireValue } from './wire.ts'

/** What identifies the memory of a hub, through all processes that keep it. */
export interface MemoryIdentity {
  readonly id: string
  /** The latest store's. */
  readonly epoch: number
}

/** What a hub's process left. */
export interface Remembered extends MemoryIdentity {
  readonly changes: Iterable<Change>
}

const fileVersion = 1
/** Bytes beyond twice its content after which the file is written anew. */
const slackBytes = 33_554_432
const readBytes = 1_048_576

/**
 * The memory of a hub, written down change by change. What was written outlives the process, however that ends,
 * though not the machine: a write goes to the system, and does not wait for the disk.
 */
export class MemoryFile {
  readonly #path: string
  readonly #identity: MemoryIdentity
  readonly #all: () => Iterable<Change>
  #descriptor: number | null = null
  #waiting: Buffer[] = []
  #written = 0
  #atStart = 0

  /** @param all gives the changes that make the whole memory */
  constructor (path: string, identity: MemoryIdentity, all: () => Iterable<Change>) {
    this.#path = path
    this.#identity = identity
    this.#all = all
    this.#begin()
  }

  record (change: Change): void {
    if (this.#descriptor !== null) this.#waiting.push(encodeFrame(change))
  }

  /** Writes what has been recorded. */
  flush (): void {
    if (this.#descriptor === null || this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    this.#attempt(() => { this.#write(waiting) })
    if (this.#written > this.#atStart * 2 + slackBytes) this.#begin()
  }

  close (): void {
    this.flush()
    if (this.#descriptor !== null) closeSync(this.#descriptor)
    this.#descriptor = null
  }

  #begin (): void {
    this.#attempt(() => {
      if (this.#descriptor !== null) closeSync(this.#descriptor)
      const path = `${this.#path}~`
      this.#descriptor = openSync(path, 'w', 0o600)
      this.#written = 0
      const { id, epoch } = this.#identity
      let frames = [encodeFrame([fileVersion, bootId(), id, epoch])]
      let bytes = 0
      for (const change of this.#all()) {
        const frame = encodeFrame(change)
        frames.push(frame)
        bytes += frame.length
        if (bytes < readBytes) continue
        this.#write(frames)
        frames = []
        bytes = 0
      }
      this.#write(frames)
      renameSync(path, this.#path)
      this.#atStart = this.#written
    })
  }

  #write (frames: Buffer[]): void {
    const bytes = frames.length === 1 ? frames[0]! : Buffer.concat(frames)
    for (let at = 0; at < bytes.length;) at += writeSync(this.#descriptor!, bytes, at)
    this.#written += bytes.length
  }

  /** If the disk is full, the hub goes on without a file. A file that lacks a change must not be read. */
  #attempt (step: () => void): void {
    try {
      step()
    } catch {
      for (const path of [this.#path, `${this.#path}~`]) rmSync(path, { force: true })
      try {
        if (this.#descriptor !== null) closeSync(this.#descriptor)
      } catch {}
      this.#descriptor = null
      this.#waiting = []
    }
  }
}

/** Reads the memory of a process that is dead; null if there is none that can be trusted. */
export function readMemory (path: string): Remembered | null {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch {
    return null
  }
  const frames = framesOf(descriptor)
  const { value: head } = frames.next()
  const [version, boot, id, epoch] = (Array.isArray(head) ? head : []) as [number, string, string, number]
  if (version !== fileVersion || boot !== bootId() || typeof id !== 'string' || typeof epoch !== 'number') {
    frames.return(undefined)
    return null
  }
  return { id, epoch, changes: frames as Iterable<WireValue> as Iterable<Change> }
}

/** Frames of a file, up to one that the process did not finish. */
function * framesOf (descriptor: number): Generator<WireValue, undefined> {
  try {
    const reader = new FrameReader(Infinity)
    for (;;) {
      const piece = Buffer.allocUnsafe(readBytes)
      const length = readSync(descriptor, piece, 0, readBytes, null)
      if (length === 0) return
      yield * reader.read(piece.subarray(0, length))
    }
  } catch {
    // Bytes that are no frame: nothing behind them was acknowledged.
  } finally {
    closeSync(descriptor)
  }
}

/** Differs after each start of the machine, whose disk may lack what its memory had. Empty where the system has none. */
function bootId (): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}
