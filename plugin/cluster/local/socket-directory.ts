import { randomBytes } from 'node:crypto'
import { chmodSync, constants, linkSync, lstatSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { OptionError } from '../../../schemas/errors.ts'

/** Bytes that every system takes for the path of a unix socket. */
const longestPath = 103
/** Age of a socket that was never put in its place, in milliseconds. */
const strayMs = 60_000

/** A socket that this process has put in its place and listens on. */
export interface Place {
  readonly number: number
  readonly server: Server
  /** Keeps the file from looking old to whoever cleans the folder. Returns whether it is still this socket. */
  readonly keep: () => boolean
}

/**
 * The folder in which the processes of one user find the hub of an application.
 *
 * Each hub has a number, and its socket the number in its name. The hub with the highest number counts. When its
 * socket refuses, its process is dead, and the first one to put a socket of the next number in place serves.
 * The highest socket is never removed: numbers only grow, so two hubs cannot both count.
 */
export class SocketDirectory {
  readonly #folder: string
  readonly #name: string

  /** @throws `FST_ERR_TETHER_OPTION` if the path of a socket would be too long */
  constructor (application: string, folder: string = defaultFolder()) {
    if (process.platform === 'win32') throw new OptionError('local() needs unix sockets, which Windows lacks')
    this.#folder = folder
    this.#name = application
    const path = this.#temporaryPath()
    if (Buffer.byteLength(path) > longestPath) {
      throw new OptionError(`option "directory" of local() gives a socket a path of ${Buffer.byteLength(path)} bytes, and systems take ${longestPath}: choose a shorter directory or a shorter name of the cluster`)
    }
  }

  /**
   * Makes the folder, and checks that only this user can put sockets there.
   *
   * @throws `FST_ERR_TETHER_OPTION`
   */
  prepare (): void {
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    } catch (error) {
      throw new OptionError(`option "directory" of local() must be a directory that this user can make or use: ${(error as Error).message}`)
    }
    const found = lstatSync(this.#folder)
    const fault = !found.isDirectory() ? 'is no directory' : found.uid !== process.getuid?.() ? 'belongs to another user' : (found.mode & (constants.S_IWGRP | constants.S_IWOTH)) !== 0 ? 'can be written by other users' : null
    if (fault !== null) throw new OptionError(`option "directory" of local() must be a directory that only this user can write to: ${this.#folder} ${fault}`)
  }

  /** The highest number of a socket; 0 for none. */
  highest (): number {
    return Math.max(0, ...this.#numbers('sock'))
  }

  socketPath (number: number): string {
    return join(this.#folder, `${this.#name}.${number}.sock`)
  }

  /** The file in which the hub of a number keeps its memory. */
  memoryPath (number: number): string {
    return join(this.#folder, `${this.#name}.${number}.memory`)
  }

  /** The file of the latest hub before `before` that kept its memory; null for none. */
  latestMemory (before: number): string | null {
    const number = Math.max(0, ...this.#numbers('memory').filter((number) => number < before))
    return number === 0 ? null : this.memoryPath(number)
  }

  /** Puts a socket in the place of `number`. Resolves with null if another process was first, or a later number exists. */
  async take (number: number): Promise<Place | null> {
    const temporary = this.#temporaryPath()
    const server = createServer()
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(temporary, resolve))
    try {
      chmodSync(temporary, 0o600)
      const path = this.socketPath(number)
      // It listens already when it appears under its name: from now on, whoever finds it can connect.
      linkSync(temporary, path)
      const { ino } = statSync(path)
      if (this.highest() === number) {
        const keep = () => {
          try {
            if (statSync(path).ino !== ino) return false
            utimesSync(path, new Date(), new Date())
            return true
          } catch {
            return false
          }
        }
        return { number, server, keep }
      }
    } catch (error) {
      if (!isCode(error, 'EEXIST')) {
        server.close()
        throw error
      }
    } finally {
      rmSync(temporary, { force: true })
    }
    server.close()
    return null
  }

  /** Removes what earlier hubs left: they are dead. */
  clean (number: number): void {
    for (const kind of ['sock', 'memory'] as const) {
      for (const earlier of this.#numbers(kind)) if (earlier < number) rmSync(join(this.#folder, `${this.#name}.${earlier}.${kind}`), { force: true })
    }
    for (const file of readdirSync(this.#folder)) {
      if (!file.startsWith(`${this.#name}~`)) continue
      const path = join(this.#folder, file)
      const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity)
      if (age > strayMs) rmSync(path, { force: true })
    }
  }

  #numbers (kind: 'sock' | 'memory'): number[] {
    const found: number[] = []
    for (const file of readdirSync(this.#folder)) {
      const [name, number, extension, ...rest] = file.split('.')
      if (name === this.#name && extension === kind && rest.length === 0 && /^[1-9]\d{0,14}$/.test(number!)) found.push(Number(number))
    }
    return found
  }

  #temporaryPath (): string {
    return join(this.#folder, `${this.#name}~${randomBytes(6).toString('hex')}`)
  }
}

/** Connects to a socket. Resolves with null when nobody listens there, or nothing is there. */
export function dialSocket (path: string): Promise<Socket | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error) => {
      if (isCode(error, 'ECONNREFUSED') || isCode(error, 'ENOENT')) resolve(null)
      else reject(error)
    })
  })
}

function isCode (error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code
}

function defaultFolder (): string {
  return join(tmpdir(), `fastify-tether-${userInfo().uid}`)
}
