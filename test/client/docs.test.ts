import { readFileSync } from 'node:fs'
import t from 'tap'
import { defaults } from '../../client/defaults.ts'
import { connect, type Connection } from '../../client/index.ts'
import { sharedDefaults } from '../../client/shared-defaults.ts'
import { storedDefaults } from '../../client/stored-defaults.ts'
import { startServer } from '../e2e/harness/server.ts'
import { until } from '../e2e/harness/until.ts'
import { mountRecipe, setupRecipe } from './recipe.ts'

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
    t.equal(listed.get(name)?.[1], name.endsWith('Ms') ? 'ms' : name.endsWith('Length') ? 'characters' : 'events', name)
    t.not(listed.get(name)?.[3], '', `${name} at 0`)
    t.match(types, new RegExp(`Default ${shown}\\. \\*/\n  ${name}\\?:`), name)
  }
  const options = [...types.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name!).filter((name) => !['seq', 'accepted', 'doubtful', 'setupDue', 'onReady', 'emitTopic'].includes(name))
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

t.test('the recipe for setup works as it stands', async (t) => {
  let mounted!: ReturnType<typeof mountRecipe>
  const server = await startServer(t, { setup: (app) => { mounted = mountRecipe(app) } })
  const shown: string[] = []
  const own = (path: string, options: object) => connect(`${server.origin}${path}`, { retryMs: 20, retryMaxMs: 50, ...options })
  // eslint-disable-next-line no-new-func -- as a page would run it
  const run = new Function('connect', 'show', `${setupRecipe()}; return live`) as (...given: unknown[]) => Connection
  const client = run(own, (text: string) => shown.push(text))
  t.teardown(() => client.close())
  await until(() => mounted.said.length === 1, 'the message')
  await mounted.live.get(client.session!)!.close('moved', { reconnect: true })
  await client.emit('message.send', { text: 'again' })
  await until(() => mounted.said.length === 2, 'the message in the next session')
  t.strictSame(mounted.said, ['lobby: Hello', 'lobby: again'])
  t.strictSame(shown, ['The session was gone; this is a new one.'])
})
