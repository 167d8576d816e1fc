import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { promisify } from 'node:util'
import t from 'tap'

const root = new URL('../../', import.meta.url)
const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { scripts: Record<string, string> }
const benchmarks = Object.entries(scripts).filter(([name]) => /^bench(:|$)/.test(name))

t.test('the help of every benchmark names the command that runs it', async (t) => {
  t.ok(benchmarks.length > 1)
  for (const [name, command] of benchmarks) {
    const file = /benchmarks\/\S+/.exec(command)![0]
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', file, '--help'], { cwd: root })
    t.equal(stdout.split('\n')[0], `npm run ${name} -- [options]`, file)
  }
})
