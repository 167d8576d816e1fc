import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Benchmarks measure the built package, as its users run it, and say so when there is none. */
export function requirePluginBuild (): void {
  try {
    if (existsSync(fileURLToPath(import.meta.resolve('fastify-tether')))) return
  } catch {
    // Not resolvable is as good as not built.
  }
  throw new Error("the package 'fastify-tether' is not built: run `npm run build` first")
}

/** The build that users get, or the one of another folder, to compare them in one run. */
export async function loadLibrary (folder: string | undefined): Promise<typeof import('fastify-tether')> {
  if (folder === undefined) return await import('fastify-tether')
  return await import(pathToFileURL(join(folder, 'dist/plugin/index.js')).href) as typeof import('fastify-tether')
}
