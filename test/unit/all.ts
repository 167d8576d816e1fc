// All unit tests in one process: most of the time of a file alone goes into its start.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const folder = fileURLToPath(new URL('.', import.meta.url))
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts')).sort()
// tap takes tests for complete when none runs for three timers, which a slow import outlasts. So a test stands for the imports.
t.test('all files load', async () => {
  for (const file of files) await import(new URL(file, import.meta.url).href)
})
