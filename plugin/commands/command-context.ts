import { AsyncResource } from 'node:async_hooks'

/** The shared context of commands that are queued together: null until the first needs it, undefined outside `shareContext`. */
let shared: AsyncResource | null | undefined

/** The async context of the running code, in which the application's `AsyncLocalStorage` finds its store. */
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
