type Listener = (...args: any[]) => unknown

/** Makes an error an uncaught one. */
export const throwLater = (error: unknown): unknown => setTimeout(() => { throw error })

/**
 * Keeps listeners by name. Returns a function that adds one, and a function that calls all of one name.
 *
 * @param onError gets what a listener throws; the other listeners run all the same. Default: an uncaught error.
 */
export function createListeners (onError: (error: unknown) => unknown = throwLater) {
  const sets: Record<string, Set<Listener[]>> = Object.create(null)
  return [
    (name: string, listener: Listener): (() => void) => {
      // An array of its own: a function that is added twice is called twice, and each can be removed.
      const own = [listener]
      ;(sets[name] ??= new Set()).add(own)
      return () => {
        sets[name]?.delete(own.splice(0) && own)
        if (!sets[name]?.size) delete sets[name]
      }
    },
    (name: string, first?: unknown, second?: unknown): void => {
      for (const [listener] of new Set(sets[name])) {
        try {
          listener?.(first, second)
        } catch (error) {
          onError(error)
        }
      }
    }
  ] as const
}
