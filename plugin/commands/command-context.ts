import { AsyncResource } from 'node:async_hooks'

/** Made for the first who asks while commands are queued together; undefined at other times. */
let shared: AsyncResource | null | undefined

/** The async context of the code that runs: what an `AsyncLocalStorage` of the application holds for it. */
export function presentContext (): AsyncResource {
  if (shared === undefined) return new AsyncResource('fastify-tether.command')
  return shared ??= new AsyncResource('fastify-tether.command')
}

/** Runs what queues many commands and does nothing else, so that they share one context. */
export function shareContext (queue: () => void): void {
  shared = null
  try {
    queue()
  } finally {
    shared = undefined
  }
}
