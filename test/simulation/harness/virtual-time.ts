// Time, timers and chance of this process, under control: everything that runs meanwhile lives on it, without knowing.
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { randomFrom } from '../../harness/random.ts'

/** How long a task takes on the processor, in virtual milliseconds: time goes on, even for code that waits for it. */
const taskMs = 0.01

/** The wall clock's time at the start. */
const startOfTime = Date.UTC(2026, 0, 1)

/** A task of one process. It stands for what Node.js gives for a timer, too. */
class Task {
  readonly process: VirtualProcess
  at: number
  readonly order: number
  readonly run: () => void
  readonly everyMs: number | null
  isOver = false

  constructor (process: VirtualProcess, at: number, order: number, run: () => void, everyMs: number | null) {
    this.process = process
    this.at = at
    this.order = order
    this.run = run
    this.everyMs = everyMs
  }

  ref (): this { return this }
  unref (): this { return this }
  hasRef (): boolean { return true }
}

/** A process: its event loop, and its clocks. It can stand still, and it can end in the midst of anything. */
export class VirtualProcess {
  readonly name: string
  /** What its monotonic clock, and its wall clock, are ahead of the others. */
  readonly monotonicMs: number
  readonly wallMs: number
  isDead = false
  isStopped = false
  /** Tasks that came due while it stood still. */
  readonly held: Task[] = []
  /** Timers and immediates that have not run. */
  readonly pending = new Set<Task>()

  constructor (name: string, monotonicMs = 0, wallMs = 0) {
    this.name = name
    this.monotonicMs = monotonicMs
    this.wallMs = wallMs
  }
}

const real = { setImmediate, setTimeout, clearTimeout, setInterval, clearInterval, clearImmediate, dateNow: Date.now, random: Math.random, randomBytes: crypto.randomBytes, timeOrigin: performance.timeOrigin }

/**
 * Runs processes on one virtual time, one task at a time, in an order that follows from the seed alone. What a task begins belongs
 * to its process: the next task begins when nothing is left to run. From `begin` to `end`, the globals for time and chance are its own.
 */
export class VirtualTime {
  /** The world beside the processes: the network, the engine, the people. */
  readonly world = new VirtualProcess('world')
  readonly #random: () => number
  readonly #heap: Task[] = []
  #now = 0
  #orders = 0
  #current = this.world
  #onRejection: ((reason: unknown) => void) | null = null
  tasks = 0
  /** What a process threw and nobody caught. */
  readonly uncaught: string[] = []

  constructor (seed: number) {
    this.#random = randomFrom(seed)
  }

  /** Milliseconds since the start. */
  get now (): number { return this.#now }
  get current (): VirtualProcess { return this.#current }

  begin (): void {
    const set = (process: VirtualProcess, run: () => void, ms: number, everyMs: number | null) => this.#set(process, run, ms, everyMs)
    const clear = (task: unknown) => { if (task instanceof Task) this.#over(task) }
    Object.assign(globalThis, {
      setTimeout: (run: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) => set(this.#current, given.length === 0 ? run : () => { run(...given) }, Math.max(1, Number(ms) || 0), null),
      setInterval: (run: () => void, ms = 0) => set(this.#current, run, Math.max(1, ms), Math.max(1, ms)),
      setImmediate: (run: (...given: unknown[]) => void, ...given: unknown[]) => set(this.#current, given.length === 0 ? run : () => { run(...given) }, 0, null),
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear
    })
    Date.now = () => Math.floor(startOfTime + this.#now + this.#current.wallMs)
    Math.random = this.#random
    Object.defineProperty(performance, 'now', { configurable: true, writable: true, value: () => 1_000_000 + this.#now + this.#current.monotonicMs })
    Object.defineProperty(performance, 'timeOrigin', { configurable: true, value: startOfTime })
    crypto.randomBytes = ((count: number) => Buffer.from(Array.from({ length: count }, () => Math.floor(this.#random() * 256)))) as typeof crypto.randomBytes
    syncBuiltinESMExports()
    this.#onRejection = (reason) => { this.#note('unhandled rejection', reason) }
    process.on('unhandledRejection', this.#onRejection)
  }

  end (): void {
    const { setImmediate, setTimeout, clearTimeout, setInterval, clearInterval, clearImmediate } = real
    Object.assign(globalThis, { setImmediate, setTimeout, clearTimeout, setInterval, clearInterval, clearImmediate })
    Date.now = real.dateNow
    Math.random = real.random
    Reflect.deleteProperty(performance, 'now')
    Reflect.deleteProperty(performance, 'timeOrigin')
    crypto.randomBytes = real.randomBytes
    syncBuiltinESMExports()
    if (this.#onRejection !== null) process.off('unhandledRejection', this.#onRejection)
  }

  /** Runs a function as a process does. What it begins must be over, or be the process's, before the present task ends. */
  within<Result> (process: VirtualProcess, run: () => Result): Result {
    const before = this.#current
    this.#current = process
    try {
      return run()
    } finally {
      this.#current = before
    }
  }

  /** Gives a process a task, after those that it was given before. A dead one takes none. */
  post (process: VirtualProcess, run: () => void): void {
    if (!process.isDead) this.#set(process, run, 0, null)
  }

  /** Runs a function in the world after a time. */
  after (ms: number, run: () => void): void {
    this.#set(this.world, run, ms, null)
  }

  /** Runs a function in the world at a time, exactly: of what is set for one time, the first comes first. */
  at (time: number, run: () => void): void {
    this.#set(this.world, run, 0, null, time)
  }

  wait (ms: number): Promise<void> {
    return new Promise((resolve) => { this.after(ms, resolve) })
  }

  /** A process stands still: it notices nothing until it goes on. */
  stop (process: VirtualProcess): void {
    process.isStopped = true
  }

  goOn (process: VirtualProcess): void {
    process.isStopped = false
    // At their own times, so that they come before tasks that are due, but were not looked at yet.
    for (const task of process.held.splice(0)) this.#push(task)
  }

  /** Ends a process: nothing of it runs any more. */
  kill (process: VirtualProcess): void {
    process.isDead = true
    process.held.length = 0
    for (const task of [...process.pending]) this.#over(task)
  }

  /** Runs tasks until a condition holds. Returns whether it does before the time is over. */
  async run (until: () => boolean, mostMs: number, onTask: (process: VirtualProcess) => void = () => {}): Promise<boolean> {
    const end = this.#now + mostMs
    while (!until()) {
      const task = this.#pop()
      if (task === undefined || task.at > end) {
        if (task !== undefined) this.#push(task)
        return false
      }
      if (task.isOver || task.process.isDead) continue
      if (task.process.isStopped) {
        task.process.held.push(task)
        continue
      }
      this.#now = Math.max(this.#now, task.at) + taskMs
      this.#current = task.process
      this.tasks++
      if (task.everyMs === null) this.#over(task)
      try {
        task.run()
      } catch (error) {
        this.#note('uncaught', error)
      }
      // All that the task began, and that waits for nothing, runs in the meantime.
      await new Promise((resolve) => { real.setImmediate(resolve) })
      if (task.everyMs !== null && !task.isOver) {
        task.at = this.#now + task.everyMs
        this.#push(task)
      }
      this.#current = this.world
      onTask(task.process)
    }
    return true
  }

  #note (kind: string, error: unknown): void {
    if (this.uncaught.length < 10) this.uncaught.push(`${kind} in ${this.#current.name}: ${String((error as Error | undefined)?.stack ?? error)}`)
  }

  #set (process: VirtualProcess, run: () => void, ms: number, everyMs: number | null, at = this.#now + ms): Task {
    const task = new Task(process, at, ++this.#orders, run, everyMs)
    if (process.isDead) {
      task.isOver = true
      return task
    }
    process.pending.add(task)
    this.#push(task)
    return task
  }

  #over (task: Task): void {
    task.isOver = true
    task.process.pending.delete(task)
  }

  // A heap, the earliest first; of tasks of one time, the one that was set first.

  #push (task: Task): void {
    const heap = this.#heap
    let index = heap.push(task) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(task, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = task
  }

  #pop (): Task | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || first === last) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

function isBefore (one: Task, other: Task): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}
