import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Benchmarks measure the built package, as its users run it, and say so when there is none. */
export function requirePluginBuild (): void {
  try {
    if (existsSync(fileURLToPath(import.meta.resolve('fastify-tether')))) return
  } catch {
    // Not resolvable is as good as not built.
  }
  throw new Error("the package 'fastify-tether' is not built: run `npm run build` first")
}
