import { AsyncResource } from 'node:async_hooks'

/** The context that commands queued together share: null until the first needs it, undefined at other times. */
let shared: AsyncResource | null | undefined

/** The async context of the running code: in it an `AsyncLocalStorage` of the application finds its store. */
export function presentContext (): AsyncResource {
  if (shared === undefined) return new AsyncResource('fastify-tether.command')
  return shared ??= new AsyncResource('fastify-tether.command')
}

/** Runs a function that only queues commands. They share one context. */
export function shareContext (queue: () => void): void {
  shared = null
  try {
    queue()
  } finally {
    shared = undefined
  }
}
