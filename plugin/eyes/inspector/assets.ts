import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** One file of the page. */
export interface Asset {
  readonly type: string
  readonly body: Buffer
  readonly etag: string
}

const types = {
  'page.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8'
}

export type AssetName = keyof typeof types

/** Where the page is, from this file: as built, and from the sources. */
const folders = ['../../../inspector/', '../../../dist/inspector/']

/**
 * Reads the page into memory. Blocks for some milliseconds.
 *
 * @throws if the page was not built
 */
export function readAssets (): Readonly<Record<AssetName, Asset>> {
  return Object.fromEntries(Object.entries(types).map(([name, type]) => {
    const body = readPart(name)
    return [name, { type, body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }]
  })) as Record<AssetName, Asset>
}

function readPart (name: string): Buffer {
  for (const folder of folders) {
    try {
      return readFileSync(new URL(folder + name, import.meta.url))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  throw new Error(`${name} of the inspector is not there: npm run build makes it`)
}
