import { systemTime, type TimeSource } from '../../schemas/time-source.ts'

/**
 * An entry of the queue. It stands for all deadlines of its owner; the owner knows which of
 * them are due.
 */
export interface Deadline {
  /** Time on the clock of `performance.now()`. */
  dueAt: number
  /** Its index in the heap, kept by the queue; -1 outside the heap. */
  heapIndex: number
  /** Acts on all due deadlines of the owner. It may set the entry again. It must not throw, and must tolerate a call after `remove`. */
  due: (now: number) => void
}

/**
 * All deadlines of the plugin behind one timer: a binary heap, the earliest first.
 *
 * An owner need not report a later time: `due` is called at the earlier time, and the owner sets
 * the later time then. So it need not report every write.
 */
export class DeadlineQueue {
  readonly #heap: Deadline[] = []
  readonly #time: TimeSource
  #timer: unknown = null
  #wakesAt = Infinity

  constructor (time: TimeSource = systemTime) {
    this.#time = time
  }

  get size (): number { return this.#heap.length }

  /** Makes sure that `deadline.due` is called no later than `at`; `Infinity` changes nothing. */
  set (deadline: Deadline, at: number): void {
    if (at === Infinity) return
    if (deadline.heapIndex === -1) {
      deadline.dueAt = at
      deadline.heapIndex = this.#heap.push(deadline) - 1
      this.#up(deadline.heapIndex)
    } else if (at < deadline.dueAt) {
      deadline.dueAt = at
      this.#up(deadline.heapIndex)
    } else return
    this.#wake()
  }

  /** Takes a deadline out of the queue. */
  remove (deadline: Deadline): void {
    const index = deadline.heapIndex
    if (index === -1) return
    deadline.heapIndex = -1
    const last = this.#heap.pop()!
    if (last !== deadline) {
      this.#heap[index] = last
      last.heapIndex = index
      this.#up(index)
      this.#down(last.heapIndex)
    }
    if (this.#heap.length === 0) this.#stop()
  }

  #wake (): void {
    const earliest = this.#heap[0]!.dueAt
    if (earliest >= this.#wakesAt) return
    this.#stop()
    this.#wakesAt = earliest
    this.#timer = this.#time.wake(() => this.#look(), earliest)
  }

  #look (): void {
    this.#timer = null
    this.#wakesAt = Infinity
    const now = this.#time.now()
    // All due entries leave the heap first. Otherwise an entry that sets itself again at once could hold the loop.
    const due: Deadline[] = []
    while (this.#heap.length > 0 && this.#heap[0]!.dueAt <= now) {
      const deadline = this.#heap[0]!
      this.remove(deadline)
      due.push(deadline)
    }
    for (const deadline of due) deadline.due(now)
    if (this.#heap.length > 0) this.#wake()
  }

  #stop (): void {
    if (this.#timer !== null) this.#time.cancel(this.#timer)
    this.#timer = null
    this.#wakesAt = Infinity
  }

  #up (from: number): void {
    const heap = this.#heap
    const deadline = heap[from]!
    let index = from
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (heap[parent]!.dueAt <= deadline.dueAt) break
      heap[index] = heap[parent]!
      heap[index]!.heapIndex = index
      index = parent
    }
    heap[index] = deadline
    deadline.heapIndex = index
  }

  #down (from: number): void {
    const heap = this.#heap
    const deadline = heap[from]!
    let index = from
    for (;;) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.dueAt < heap[child]!.dueAt) child++
      if (heap[child]!.dueAt >= deadline.dueAt) break
      heap[index] = heap[child]!
      heap[index]!.heapIndex = index
      index = child
    }
    heap[index] = deadline
    deadline.heapIndex = index
  }
}
