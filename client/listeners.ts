type Listener = (...args: any[]) => unknown

/**
 * Functions by the name of what they listen to: gives one that adds, and one that calls.
 *
 * @param onError gets what a listener throws; the others are called all the same. By default it is an uncaught error.
 */
export function createListeners (onError: (error: unknown) => void = (error) => setTimeout(() => { throw error })) {
  const sets: Record<string, Set<Listener[]>> = { __proto__: null } as never
  return [
    (name: string, listener: Listener): (() => void) => {
      // In a list of its own: a function that listens twice is called twice, and each can be stopped.
      const own = [listener]
      ;(sets[name] ??= new Set()).add(own)
      return () => { sets[name]!.delete(own.splice(0) && own) }
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
