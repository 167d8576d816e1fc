import { ClientError } from './client-error.ts'
import type { createListeners } from './listeners.ts'

// Names of listeners that no update can have.
export const anyUpdate = ''
export const stateChange = ' '
export const gapFound = '  '
/** Of a subscription: `ready` is another promise. */
export const readyChange = ''

/**
 * Methods of every connection for listening.
 *
 * @param hold gets a promise that is pending while an iteration has a full buffer; several may be pending at a time
 */
export function createListening (on: ReturnType<typeof createListeners>[0], isClosed: () => boolean, hold: (taken: Promise<void>) => void) {
  async function * iterate (name = anyUpdate): AsyncGenerator<any, void> {
    const buffer: unknown[] = []
    let arrived = () => {}
    let release: (() => void) | undefined
    const resume = () => { release = release?.() as undefined }
    const stops = [
      on(name, (value) => {
        // An update of the protocol's own, such as a reply.
        if (!name && /^tether\./.test(value.name)) return
        buffer.push(value)
        // About a hundred, as docs/client.md says.
        if (buffer.length > 99 && !release) hold(new Promise((resolve) => { release = resolve }))
        arrived()
      }),
      on(stateChange, () => arrived())
    ]
    try {
      for (;;) {
        while (buffer.length) yield buffer.shift()
        if (isClosed()) return
        resume()
        await new Promise<void>((resolve) => { arrived = resolve })
      }
    } finally {
      resume()
      for (const stop of stops) stop()
    }
  }

  const first = async (name: string): Promise<unknown> => {
    // eslint-disable-next-line no-unreachable-loop -- returning the first value ends the iteration
    for await (const value of iterate(name)) return value
    throw new ClientError({ code: 'TETHER_CLOSED' })
  }

  return {
    on,
    once (name: string, listener?: (data: any) => unknown): any {
      const stop = listener && on(name, (data) => {
        stop!()
        return listener(data)
      })
      return stop ?? first(name)
    },
    updates: iterate,
    [Symbol.asyncIterator]: iterate,
    onState: (listener: (...args: any[]) => unknown) => on(stateChange, listener),
    onGap: (listener: (seq: number) => unknown) => on(gapFound, listener)
  }
}
