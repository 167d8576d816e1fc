import { ClientError } from './client-error.ts'
import type { createListeners } from './listeners.ts'

// No update has such a name.
export const anyUpdate = ''
export const stateChange = ' '
export const gapFound = '  '

/** Updates that wait to be taken by an iteration before reading stops. */
const iterationBuffer = 99

/**
 * The ways to listen that every connection has.
 *
 * @param hold is given a promise that is pending while an iteration has more than enough
 */
export function createListening (on: ReturnType<typeof createListeners>[0], isClosed: () => boolean, hold: (taken: Promise<void>) => void) {
  async function * iterate (name = anyUpdate): AsyncGenerator<any, void> {
    const buffer: unknown[] = []
    let arrived = () => {}
    let release = () => {}
    const stops = [
      on(name, (value) => {
        buffer.push(value)
        if (buffer.length > iterationBuffer) hold(new Promise((resolve) => { release = resolve }))
        arrived()
      }),
      on(stateChange, () => arrived())
    ]
    try {
      for (;;) {
        if (buffer.length) yield buffer.shift()
        else if (isClosed()) return
        else {
          release()
          await new Promise<void>((resolve) => { arrived = resolve })
        }
      }
    } finally {
      release()
      for (const stop of stops) stop()
    }
  }

  const first = async (name: string): Promise<unknown> => {
    const iteration = iterate(name)
    const { done, value } = await iteration.next()
    if (done) throw new ClientError({ code: 'TETHER_CLOSED' })
    iteration.return()
    return value
  }

  return {
    on,
    once (name: string, listener?: (data: any) => unknown): any {
      if (!listener) return first(name)
      const stop = on(name, (data) => {
        stop()
        return listener(data)
      })
      return stop
    },
    updates: iterate,
    [Symbol.asyncIterator]: () => iterate(),
    onState: (listener: (...args: any[]) => unknown) => on(stateChange, listener),
    onGap: (listener: (seq: number) => unknown) => on(gapFound, listener)
  }
}
