import type { AnyContract } from '../schemas/contract.ts'
import { connect, type Connection } from './connection.ts'
import type { ConnectOptions } from './options.ts'

/** An answer of `inject` whose head has come. */
export interface InjectedResponse {
  readonly statusCode: number
  readonly headers: object
  readonly raw: { readonly res: { destroy: () => unknown } }
  stream: () => AsyncIterable<Uint8Array>
}

/** An application of Fastify, as far as this module knows it. */
export interface Injectable {
  inject: (options: { method: 'GET' | 'POST', url: string, headers: Record<string, string>, payload?: string, payloadAsStream: true }) => Promise<InjectedResponse>
}

/** Options of {@link connectInjected}: those of `connect` but for the network. */
export interface InjectedOptions<Contract extends AnyContract = AnyContract> extends Omit<ConnectOptions<Contract>, 'fetch' | 'link' | 'credentials'> {}

/** A connection over `app.inject`. */
export interface InjectedConnection<Contract extends AnyContract = AnyContract> extends Connection<Contract> {
  /** Breaks the stream, as a lost line does: the server sees its client leave, and the client comes back and resumes. Without a stream it does nothing. */
  cut: () => void
}

/** Milliseconds. A test should not wait for a retry. */
const soon = { retryMs: 5, retryMaxMs: 50 }

/**
 * Connects the client to an application without a port: its requests go through `app.inject`, with all hooks. The
 * connection does what `connect` says, both ways at the same time, and reconnects; but its first retry comes within 5 ms
 * (`retryMs`) and later ones within 50 (`retryMaxMs`), unless options say otherwise. It closes when the application has closed.
 *
 * @param app an application of Fastify. It need not be ready.
 * @param url the path of the `stateful` URL, with the prefix
 * @returns the connection, at once
 * @throws `RangeError` for a time or a limit that is no number or is too small
 * @example
 * const live = connectInjected<typeof contract>(app, '/live')
 * await live.emit('say', { text: 'hello' })
 * @see docs/testing.md
 */
export function connectInjected<Contract extends AnyContract = AnyContract> (app: Injectable, url: string, options: InjectedOptions<Contract> = {}): InjectedConnection<Contract> {
  let cut = () => {}
  const live = connect<Contract>(url, {
    ...soon,
    ...options,
    fetch: (input, init) => request(app, input as string, init!, (cutThis) => { cut = cutThis }).catch((error: unknown) => {
      // Nothing will ever answer again.
      if ((error as { code?: unknown } | null)?.code === 'FST_ERR_REOPENED_CLOSE_SERVER') live.close()
      throw error
    })
  } as ConnectOptions<Contract>)
  return Object.assign(live, { cut: () => { cut() } })
}

/** Sends a request of the client. Calls `onStream`, with a function that breaks the answer, for a stream. */
function request (app: Injectable, url: string, { method, headers, body, signal }: RequestInit, onStream: (cut: () => void) => void): Promise<Response> {
  return new Promise((resolve, reject) => {
    let leave = reject
    signal?.addEventListener('abort', () => leave(signal.reason), { once: true })
    app.inject({
      method: method === 'POST' ? 'POST' : 'GET',
      url,
      headers: Object.fromEntries(new Headers(headers)),
      ...typeof body === 'string' && { payload: body },
      payloadAsStream: true
    }).then((response) => {
      const answer = answerOf(response)
      leave = answer.cut
      if (signal?.aborted) return answer.cut(signal.reason)
      if (method !== 'POST') onStream(() => answer.cut(new Error('the line was cut')))
      resolve(answer.response)
    }, reject)
  })
}

/** An answer for the client, and a function that breaks it: the server sees its client leave. */
function answerOf ({ statusCode, headers, raw, stream }: InjectedResponse): { response: Response, cut: (reason: unknown) => void } {
  const pieces = stream()[Symbol.asyncIterator]()
  let isOver = false
  let cut!: (reason: unknown) => void
  const body = new ReadableStream<Uint8Array>({
    start (controller) {
      cut = (reason) => {
        if (isOver) return
        isOver = true
        controller.error(reason)
        // The end of the reading alone would not tell the server.
        raw.res.destroy()
      }
    },
    async pull (controller) {
      try {
        const { done, value } = await pieces.next()
        if (isOver) return
        if (!done) return controller.enqueue(value)
        isOver = true
        controller.close()
      } catch (error) {
        if (!isOver) controller.error(error)
        isOver = true
      }
    },
    cancel: (reason) => cut(reason)
    // It reads only what the client asks for, so that the server notices a client that does not read.
  }, { highWaterMark: 0 })
  const fields = new Headers()
  for (const [name, value] of Object.entries(headers)) for (const each of [value].flat()) fields.append(name, String(each))
  const hasBody = ![204, 205, 304].includes(statusCode)
  return { response: new Response(hasBody ? body : null, { status: statusCode, headers: fields }), cut }
}
