import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { EngineError, EngineFullError, OptionError } from '../../../schemas/errors.ts'
import type { EngineApplication, EngineEvents, Offset } from '../engine.ts'
import { systemClock } from '../hub/clock.ts'
import { HubEngine } from '../hub/hub-engine.ts'
import { HubStore, type StoreLimits } from '../hub/hub-store.ts'
import { Hub, type CallArguments, type CallResult, type HubCall } from '../hub/hub.ts'
import { PendingCalls, type CallLimits } from '../hub/pending-calls.ts'
import { HubServer, type ServerLimits } from './hub-server.ts'
import { MemoryFile, readMemory } from './memory-file.ts'
import { kinds, outcomes, wireVersion } from './protocol.ts'
import { dialSocket, SocketDirectory, type Place } from './socket-directory.ts'
import { encodeFrame, FrameQueue, FrameReader, type WireValue } from './wire.ts'

export interface LocalLimits extends CallLimits, ServerLimits, Omit<StoreLimits, 'logMs'> {}

export interface LocalSettings extends LocalLimits {
  readonly directory: string | undefined
  /** Whether the hub keeps its memory in a file. */
  readonly durable: boolean
  /** Connects to a hub's socket. A test puts a connection that can fail in its place. */
  readonly dial?: (path: string) => Promise<Socket | null>
}

/** Least and most milliseconds between two attempts to connect. */
const retryMs = { least: 10, most: 250 } as const
/** Pings in the time of a deadline. */
const pingsPerDeadline = 2

/** The hub that this process serves. */
interface Service {
  readonly server: HubServer
  readonly place: Place
  readonly file: MemoryFile | null
  readonly watching: NodeJS.Timeout
}

/**
 * One node's engine on the hub of its host. One process of the host serves the hub: the first, and when
 * that dies or leaves, the first of the others that notices.
 */
export class LocalEngine extends HubEngine {
  readonly can: { readonly durable: boolean, readonly due: true, readonly journal: true }
  readonly #settings: LocalSettings
  readonly #application: EngineApplication
  readonly #directory: SocketDirectory
  readonly #calls: PendingCalls
  #node: string | null = null
  #on: EngineEvents | null = null
  #isClosed = false
  #service: Service | null = null
  #socket: Socket | null = null
  readonly #out = new FrameQueue()
  #isFlushing = false
  /** The hub that the node knows, and the last entry that was reported. */
  #known: string | null = null
  #reported: Offset | null = null
  /** Whether the hub has taken this node, and calls can be sent. */
  #isWelcome = false
  #isUp = false
  #heardAt = 0
  #pinging: NodeJS.Timeout | undefined
  #retrying: NodeJS.Timeout | undefined
  #attempts = 0
  /** Why the hub does not take this node. */
  #refusal: string | null = null
  /** The connecting that is under way. */
  #connecting: Promise<void> = Promise.resolve()
  #firstUp: () => void = () => {}

  constructor (settings: LocalSettings, application: EngineApplication) {
    super()
    if (!/^[\w-]+$/.test(application.name)) throw new OptionError(`option "name" of the cluster must consist of letters, digits, "-" and "_"; got "${application.name}"`)
    this.#settings = settings
    this.#application = application
    this.#directory = new SocketDirectory(application.name, settings.directory)
    this.can = Object.freeze({ durable: settings.durable, due: true, journal: true })
    this.#calls = new PendingCalls(settings, systemClock, () => { this.#lose() })
  }

  /** Whether this node's process serves the hub at the moment. */
  get isServing (): boolean { return this.#service !== null }

  async open (node: string, on: EngineEvents): Promise<void> {
    if (this.#node !== null) throw new EngineError('is open already')
    this.#directory.prepare()
    this.#node = node
    this.#on = on
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#settings.deadlineMs)
      this.#firstUp = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#connect()
    })
  }

  async close (): Promise<void> {
    if (this.#isClosed) return
    if (this.#isWelcome) await this.call('leave', 0).catch(() => {})
    this.#isClosed = true
    this.#firstUp()
    clearTimeout(this.#retrying)
    this.#disconnect()
    this.#calls.close()
    await this.#connecting
    this.#disconnect()
    await this.#endService()
  }

  protected override async call<Name extends HubCall> (name: Name, bytes: number, ...args: CallArguments<Name>): Promise<CallResult<Name>> {
    if (this.#isClosed || this.#node === null) throw new EngineError(this.#isClosed ? 'was left' : 'is not open')
    if (!this.#isWelcome) throw new EngineError(this.#refusal ?? 'does not answer')
    const { maxFrameBytes } = this.#settings
    if (bytes + 1_024 > maxFrameBytes) throw new EngineError(`takes at most ${maxFrameBytes - 1_024} bytes in a call, not ${bytes}`)
    const { id, promise } = this.#calls.add(bytes)
    this.#send([kinds.call, id, name, ...args as WireValue[]])
    return await promise as CallResult<Name>
  }

  #send (value: WireValue): void {
    this.#out.add(encodeFrame(value))
    if (this.#isFlushing) return
    this.#isFlushing = true
    setImmediate(() => {
      this.#isFlushing = false
      const socket = this.#socket
      const frames = this.#out.take()
      if (socket === null) return
      socket.cork()
      for (const frame of frames) socket.write(frame)
      socket.uncork()
    })
  }

  #connect (): void {
    this.#connecting = this.#find().catch(() => null).then((socket) => {
      if (this.#isClosed) socket?.destroy()
      else if (socket === null) this.#retry()
      else this.#join(socket)
    })
  }

  #retry (): void {
    const most = Math.min(retryMs.most, retryMs.least * 2 ** Math.min(this.#attempts++, 10))
    this.#retrying = setTimeout(() => { this.#connect() }, most * (0.5 + Math.random() / 2))
  }

  /** Connects to the hub; serves it, if nobody else does. Null: try again. */
  async #find (): Promise<Socket | null> {
    const dial = this.#settings.dial ?? dialSocket
    // Whoever cleans the directory for temporary files may have removed it.
    this.#directory.prepare()
    const number = this.#directory.highest()
    if (number > 0) {
      const socket = await dial(this.#directory.socketPath(number))
      if (socket !== null) return socket
    }
    if (this.#isClosed) return null
    // A socket that this process served and nobody reaches any more is somebody else's matter.
    await this.#endService()
    const place = await this.#directory.take(number + 1)
    if (place === null) return null
    this.#serve(place)
    return await dial(this.#directory.socketPath(place.number))
  }

  #serve (place: Place): void {
    const { durable } = this.#settings
    const { logMs } = this.#application
    const earlier = durable ? this.#directory.latestMemory(place.number) : null
    const remembered = earlier === null ? null : readMemory(earlier)
    const identity = { id: remembered?.id ?? randomBytes(9).toString('base64url'), epoch: Math.max(Date.now(), (remembered?.epoch ?? 0) + 1) }
    let file: MemoryFile | null = null
    const store = new HubStore({ ...this.#settings, logMs }, { now: systemClock.now, epoch: identity.epoch, record: (change) => { file?.record(change) } })
    for (const change of remembered?.changes ?? []) store.apply(change)
    if (durable) file = new MemoryFile(this.#directory.memoryPath(place.number), identity, () => store.changes())
    this.#directory.clean(place.number)
    const server = new HubServer(place.server, new Hub(store), identity.id, this.#settings, () => { file?.flush() })
    const watching = setInterval(() => { if (!place.keep()) this.#endService().catch(() => {}) }, 1_000).unref()
    this.#service = { server, place, file, watching }
  }

  async #endService (): Promise<void> {
    const service = this.#service
    if (service === null) return
    this.#service = null
    clearInterval(service.watching)
    await service.server.close()
    service.file?.close()
  }

  #join (socket: Socket): void {
    this.#socket = socket
    this.#out.clear()
    this.#heardAt = performance.now()
    const reader = new FrameReader(this.#settings.maxFrameBytes)
    socket.on('data', (piece: Buffer) => {
      this.#heardAt = performance.now()
      try {
        for (const frame of reader.read(piece)) if (this.#socket === socket) this.#take(frame as readonly WireValue[])
      } catch {
        socket.destroy()
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => { if (this.#socket === socket) this.#lose() })
    this.#send([kinds.join, wireVersion, this.#node, this.#known, this.#reported])
    const { deadlineMs } = this.#settings
    this.#pinging = setInterval(() => {
      if (performance.now() - this.#heardAt > deadlineMs) this.#lose()
      else this.#send([kinds.ping])
    }, Math.max(1, deadlineMs / pingsPerDeadline))
  }

  #take ([kind, ...rest]: readonly WireValue[]): void {
    const on = this.#on!
    switch (kind) {
      case kinds.answer: {
        const [id, outcome, value] = rest as [number, number, WireValue]
        if (outcome === outcomes.done) this.#calls.resolve(id, value)
        else this.#calls.reject(id, Object.assign(outcome === outcomes.full ? new EngineFullError('') : new EngineError(''), { message: value as string }))
        break
      }
      case kinds.entry: {
        const [at, bytes] = rest as [Offset, Buffer]
        this.#reported = at
        on.entry(at, bytes)
        break
      }
      case kinds.message:
        on.message(...rest as [string, Buffer])
        break
      case kinds.welcome: {
        const [hub, before] = rest as [string, Offset]
        const hasForgotten = this.#known !== null && this.#known !== hub
        if (this.#known !== hub) this.#reported = before
        this.#known = hub
        this.#isWelcome = true
        this.#refusal = null
        if (hasForgotten) on.forgot()
        break
      }
      case kinds.refusal:
        this.#refusal = rest[0] as string
        this.#lose()
        break
      case kinds.up:
        this.#attempts = 0
        this.#isUp = true
        on.up()
        this.#firstUp()
    }
  }

  #lose (): void {
    if (this.#socket === null) return
    this.#disconnect()
    this.#calls.rejectAll('has broken the connection')
    if (this.#isUp) {
      this.#isUp = false
      this.#on!.down()
    }
    if (!this.#isClosed) this.#retry()
  }

  #disconnect (): void {
    const socket = this.#socket
    this.#socket = null
    this.#isWelcome = false
    this.#out.clear()
    clearInterval(this.#pinging)
    socket?.destroy()
  }
}
