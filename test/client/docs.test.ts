import { readFileSync } from 'node:fs'
import t from 'tap'
import { defaults } from '../../client/defaults.ts'
import { sharedDefaults } from '../../client/shared-defaults.ts'
import { storedDefaults } from '../../client/stored-defaults.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

t.test('docs/client.md lists every option with its default, and so does what an editor shows', async (t) => {
  const guide = read('docs/client.md')
  const types = read('client/options.ts')
  const rows = guide.slice(guide.indexOf('## Options'), guide.indexOf('The defaults are exported')).split('\n').filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()))
  const listed = new Map(rows.map(([name = '', ...cells]) => [name.replaceAll('`', ''), cells]))
  for (const [name, figure] of Object.entries(defaults)) {
    const shown = figure.toLocaleString('en-US')
    t.equal(listed.get(name)?.[0], shown, name)
    t.equal(listed.get(name)?.[1], name.endsWith('Ms') ? 'ms' : 'events', name)
    t.not(listed.get(name)?.[3], '', `${name} at 0`)
    t.match(types, new RegExp(`Default ${shown}\\. \\*/\n  ${name}\\?:`), name)
  }
  const options = [...types.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name!).filter((name) => !['seq', 'accepted', 'doubtful'].includes(name))
  t.strictSame([...listed.keys()].sort(), options.sort())
})

t.test('the table is frozen', async (t) => {
  t.ok(Object.isFrozen(defaults))
  t.ok(Object.isFrozen(storedDefaults))
  t.ok(Object.isFrozen(sharedDefaults))
  t.match(read('docs/client.md'), `| \`leaderTimeoutMs\` | ${sharedDefaults.leaderTimeoutMs.toLocaleString('en-US')} | ms |`)
  t.match(read('client/shared.ts'), `Default ${sharedDefaults.leaderTimeoutMs.toLocaleString('en-US')}; 0: never. */\n  leaderTimeoutMs?:`)
  t.match(read('docs/client.md'), `| \`maxAgeMs\` | ${storedDefaults.maxAgeMs.toLocaleString('en-US')} | ms |`)
})
