/** What is published at most once a frame: first all values, then all notifications, so that a page draws once for all. */
export interface Publisher {
  publish: () => void
  notify: () => void
}

/** Time of a frame where none are drawn, as in a hidden tab. A browser slows such timers down itself. */
const frameMs = 16
/** Longest wait for a frame. A tab may be hidden meanwhile, or its frame be out of sight. */
const longestWaitMs = 1_000

const due = new Set<Publisher>()
let timer: ReturnType<typeof setTimeout> | undefined
let request = 0

/** Globals of a page. A worker has some of them, Node.js has none. */
interface PageGlobals {
  document?: { hidden: boolean }
  requestAnimationFrame?: (run: () => void) => number
  cancelAnimationFrame?: (request: number) => void
}

const page = globalThis as PageGlobals

const run = () => {
  clearTimeout(timer)
  timer = undefined
  page.cancelAnimationFrame?.(request)
  const publishers = [...due]
  due.clear()
  for (const { publish } of publishers) publish()
  for (const { notify } of publishers) notify()
}

/** Publishes in the next frame. */
export function inNextFrame (publisher: Publisher): void {
  due.add(publisher)
  if (timer !== undefined) return
  const isDrawn = page.requestAnimationFrame && !page.document?.hidden
  timer = setTimeout(run, isDrawn ? longestWaitMs : frameMs)
  if (isDrawn) request = page.requestAnimationFrame!(run)
}
