import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

t.test('a stream that breaks in the middle leaves nothing behind', async (t) => {
  const script = fileURLToPath(new URL('broken-streams.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', '--import', 'tsx', script], { timeout: 60_000 })
  const bytes = Number(stdout)
  t.ok(bytes < 8_000, `${bytes} bytes of each`)
})
