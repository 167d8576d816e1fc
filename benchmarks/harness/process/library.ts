import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** A measured kind of server. */
export interface LibraryKind {
  readonly name: string
  /** Folder of the working copy whose build of the library it runs; absent for the present one. */
  readonly library?: string
}

/** Benchmarks measure the built package, as its users run it. Throws when there is none. */
export function requireBuild (): void {
  try {
    if (existsSync(fileURLToPath(import.meta.resolve('fastify-tether')))) return
  } catch {
    // A package that cannot be resolved counts as not built.
  }
  throw new Error("the package 'fastify-tether' is not built: run `npm run build` first")
}

/** The present build, or the one of another working copy. */
export async function loadLibrary (folder: string | undefined): Promise<typeof import('fastify-tether')> {
  return folder === undefined ? await import('fastify-tether') : await import(pathToFileURL(entryOf(folder)).href)
}

/** The same kinds with another working copy's build, to be measured beside them; none without a folder. */
export function comparedKinds<Kind extends LibraryKind> (kinds: readonly Kind[], folder: string | undefined): Kind[] {
  if (folder === undefined) return []
  const library = resolve(folder)
  if (!existsSync(entryOf(library))) throw new Error(`--compare: ${library} holds no build: run \`npm run build\` there`)
  return kinds.map((kind) => ({ ...kind, name: `${kind.name} compared`, library }))
}

/** Exports of a working copy's package. */
function entryOf (folder: string): string {
  const file = join(folder, 'package.json')
  if (!existsSync(file)) throw new Error(`--compare: ${folder} is no working copy of the package`)
  const { exports } = JSON.parse(readFileSync(file, 'utf8')) as { exports: { '.': { default: string } } }
  return join(folder, exports['.'].default)
}
