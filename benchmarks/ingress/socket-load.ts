import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { Recorder, type LoadReading, type Window } from '../harness/load/recorder.ts'
import { answer } from '../../tune/process/child-endpoint.ts'
import { loopback } from '../harness/streams/loopback.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import { envelope } from './event.ts'

// A child process that sends events over WebSockets, on each of them the next when the one before is answered.

interface DriveOptions {
  readonly seconds: number
  /** Number of sockets in use. */
  readonly connections: number
  /** Events a second of all sockets together, in the order of the sockets. Without it each sends after each answer. */
  readonly perSecond?: number
}

const answered = /"type":"answer","status":(\d+)/g
const openTimeoutMs = 30_000
const lastAnswersMs = 5_000

/** A WebSocket with a session. */
class EventSocket {
  readonly #socket: WebSocket
  /** Times at which the unanswered events were due. */
  readonly #due: number[] = []
  onAnswer: (status: number, milliseconds: number) => void = () => {}

  constructor (socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (text: Buffer) => {
      for (const [, status] of text.toString('latin1').matchAll(answered)) {
        const due = this.#due.shift()
        if (due === undefined) throw new Error('an answer came without an event')
        this.onAnswer(Number(status), performance.now() - due)
      }
    })
  }

  static async open (port: number): Promise<EventSocket> {
    const socket = new WebSocket(`ws://${loopback}:${port}${liveUrl}`, { perMessageDeflate: false })
    await once(socket, 'open', { signal: AbortSignal.timeout(openTimeoutMs) })
    const hello = once(socket, 'message', { signal: AbortSignal.timeout(openTimeoutMs) })
    socket.send('{"session":"new"}')
    await hello
    return new EventSocket(socket)
  }

  get isOpen (): boolean { return this.#socket.readyState === WebSocket.OPEN }
  get unanswered (): number { return this.#due.length }

  send (dueAt: number): void {
    this.#due.push(dueAt)
    this.#socket.send(envelope)
  }
}

const sockets: EventSocket[] = []
let recorder = new Recorder()

async function drive ({ seconds, connections, perSecond }: DriveOptions): Promise<void> {
  const used = sockets.slice(0, connections)
  const window: Window = { from: performance.now(), to: performance.now() + seconds * 1000 }
  for (const socket of used) {
    socket.onAnswer = (status, milliseconds) => {
      const now = performance.now()
      recorder.record(status, milliseconds, now <= window.to)
      if (perSecond === undefined && now < window.to) socket.send(now)
    }
  }
  if (perSecond === undefined) {
    for (const socket of used) socket.send(performance.now())
    await delay(seconds * 1000)
  } else {
    for (let count = 0; count < seconds * perSecond; count += 1) {
      const dueAt = window.from + count * 1000 / perSecond
      const earlyMs = dueAt - performance.now()
      if (earlyMs > 0) await delay(earlyMs)
      used[count % used.length]!.send(dueAt)
    }
  }
  const deadline = performance.now() + lastAnswersMs
  const unanswered = (): number => used.reduce((sum, socket) => sum + socket.unanswered, 0)
  while (unanswered() > 0 && performance.now() < deadline) await delay(1)
  recorder.close(window, unanswered())
}

const calls = {
  open: async ({ port, count }: { port: number, count: number }): Promise<void> => {
    sockets.push(...await Promise.all(Array.from({ length: count }, async () => await EventSocket.open(port))))
  },
  drive,
  /** Returns the record since the last call. */
  take: (): LoadReading => {
    const reading = recorder.reading()
    recorder = new Recorder()
    return reading
  },
  openCount: (): number => sockets.filter(({ isOpen }) => isOpen).length
}

export type SocketLoadCalls = typeof calls

answer(calls)
