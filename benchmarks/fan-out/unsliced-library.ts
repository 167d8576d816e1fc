import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const slice = /\bflushSliceMs: \d+/

/**
 * Makes a copy of the build in which one slice lasts until nothing is left, and gives its folder. The length of
 * a slice is no option, since nobody should want that; only here it is to be shown.
 */
export function unslicedLibrary (): string {
  const folder = fileURLToPath(new URL('../results/unsliced-library', import.meta.url))
  rmSync(folder, { recursive: true, force: true })
  cpSync(fileURLToPath(new URL('../../dist', import.meta.url)), join(folder, 'dist'), { recursive: true })
  const file = join(folder, 'dist/schemas/defaults.js')
  const source = readFileSync(file, 'utf8')
  if (!slice.test(source)) throw new Error(`${file} names no length of a slice`)
  writeFileSync(file, source.replace(slice, 'flushSliceMs: Infinity'))
  return folder
}
