// All unit tests in one process: most of the time of a file alone goes into its start.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts')).sort()
for (const file of files) await import(new URL(file, import.meta.url).href)
