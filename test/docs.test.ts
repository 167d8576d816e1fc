import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { defaults } from '../schemas/defaults.ts'
import { errorTable } from '../schemas/error-table.ts'
import { drainOptionsSchema, pluginOptionsSchema, statefulConfigSchema, upgradeOptionsSchema, webSocketUpgradeOptionsSchema } from '../schemas/options.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const documents = ['README.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]

function read (name: string): string {
  return readFileSync(join(root, name), 'utf8')
}

/** The cells of each row of the tables in a text whose first cell is code. A bar within a cell is written `\|`. */
function rows (text: string): string[][] {
  return text.split('\n').filter((line) => line.startsWith('| `'))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()))
}

function name (cell: string | undefined): string {
  return /^`([^`]+)`$/.exec(cell ?? '')?.[1] ?? ''
}

t.test('docs/errors.md lists every error, with its status', async (t) => {
  const listed = rows(read('docs/errors.md')).map(([code, status]): [string, number] => [name(code), Number(status)])
  t.strictSame(Object.fromEntries(listed), errorTable)
  t.equal(listed.length, Object.keys(errorTable).length, 'each once')
  for (const [code, , when, advice] of rows(read('docs/errors.md'))) t.ok(when !== '' && advice !== '', String(code))
})

t.test('the tables of answers list every error that answers a request, with its status', async (t) => {
  const answers = Object.entries(errorTable).filter(([, status]) => status !== 500 && status !== 499)
  for (const document of ['README.md', 'docs/protocol.md']) {
    const lines = read(document).split('\n')
    for (const [code, status] of answers) {
      const short = code === 'FST_ERR_TETHER_DRAINING' ? '_DRAINING' : code
      t.ok(lines.some((line) => line.startsWith('|') && line.includes(short) && line.includes(` ${status} `)), `${document}: ${code}`)
    }
  }
})

t.test('docs/options.md lists every option, with its default', async (t) => {
  const sections = new Map(read('docs/options.md').split(/^## /m).slice(1).map((section) => {
    const end = section.indexOf('\n')
    return [section.slice(0, end), rows(section.slice(end))]
  }))
  // What is no limit is told of in docs/api.md.
  const elsewhere = ['contract', 'mode', 'upgrade', 'fallback', 'initialState', 'on', 'onConnect', 'onDisconnect', 'onClose', 'onJoin', 'onLeave', 'onError']
  const { maxDetachedShare, ...plugin } = defaults.plugin
  const groups: Array<[heading: string, options: string[], figures: Readonly<Record<string, string | number | boolean>>]> = [
    ['`app.register(tether, options)`', Object.keys(pluginOptionsSchema.properties), plugin],
    ['`app.tether.stateful(url, config)`', Object.keys(statefulConfigSchema.properties), defaults.stateful],
    ['`app.tether.sse.upgrade(options)`', Object.keys(upgradeOptionsSchema.properties), defaults.upgrade],
    ['`app.tether.websocket.upgrade(options)`', Object.keys(webSocketUpgradeOptionsSchema.properties), defaults.websocket],
    ['`app.tether.drain(options)`', Object.keys(drainOptionsSchema.properties), defaults.drain],
    ['Fixed', Object.keys(defaults.fixed), defaults.fixed]
  ]
  t.strictSame([...sections.keys()], groups.map(([heading]) => heading))
  for (const [heading, options, figures] of groups) {
    const listed = sections.get(heading) ?? []
    t.strictSame(listed.map(([option]) => name(option)).sort(), options.filter((option) => !elsewhere.includes(option)).sort(), heading)
    for (const [option, fallback] of listed) {
      const figure = figures[name(option)]
      if (figure !== undefined) t.equal(fallback, shown(figure), `${heading}: ${option}`)
    }
  }
  t.equal(maxDetachedShare, 0.25)
  t.match(read('docs/options.md'), '| `maxDetached` | a quarter of `maxSessions` |')
})

t.test('docs/options.md tells what 0 means where it is allowed, and which options are times', async (t) => {
  const schemas = { ...pluginOptionsSchema.properties, ...statefulConfigSchema.properties, ...upgradeOptionsSchema.properties, ...webSocketUpgradeOptionsSchema.properties, ...drainOptionsSchema.properties }
  for (const [cell, , unit, , zero] of rows(read('docs/options.md').split(/^## Fixed/m)[0] ?? '')) {
    const option = name(cell)
    const minimum: unknown = schemas[option as keyof typeof schemas]?.minimum
    if (minimum === undefined) continue
    t.equal(zero === 'not allowed', minimum !== 0, `${option}: 0 is ${zero}`)
    t.not(zero, '', option)
    t.equal(unit === 'ms', option.endsWith('Ms'), `${option} is in ${unit}`)
  }
})

t.test('no document names an error that there is not', async (t) => {
  for (const document of documents) {
    const codes = new Set(read(document).match(/FST_ERR_(TETHER_[A-Z_]+|VALIDATION)/g))
    t.strictSame([...codes].filter((code) => !(code in errorTable)), [], document)
  }
})

t.test('what an editor shows of an option names the same default', async (t) => {
  const { maxDetachedShare, ...plugin } = defaults.plugin
  const files: Array<[file: string, interfaceName: string, figures: Readonly<Record<string, string | number | boolean>>]> = [
    ['plugin/app/api.ts', 'TetherOptions', plugin],
    ['plugin/app/api.ts', 'DrainOptions', defaults.drain],
    ['plugin/sessions/config.ts', 'SessionOptions', defaults.stateful],
    ['plugin/streams/transport.ts', 'UpgradeOptions', defaults.upgrade],
    ['plugin/websocket/websocket-upgrade.ts', 'WebSocketUpgradeOptions', defaults.websocket]
  ]
  for (const [file, interfaceName, figures] of files) {
    const body = new RegExp(`^export interface ${interfaceName} .*?^}`, 'ms').exec(read(file))?.[0] ?? ''
    for (const [option, figure] of Object.entries(figures)) {
      const [, comment = ''] = new RegExp(`/\\*\\*((?:(?!\\*/).)*)\\*/\\s*${option}\\?:`, 's').exec(body) ?? []
      t.ok(new RegExp(`Default ${shown(figure, '\'')}[,.;]`).test(comment.replace(/`/g, '')), `${interfaceName}.${option}: Default ${figure}`)
    }
  }
})

t.test('docs/client.md lists every type that an entry of the client exports, and no other', async (t) => {
  const section = /^## Types\n(.*?)^```/ms.exec(read('docs/client.md'))?.[1] ?? ''
  const listed = [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)/g)].map(([, type]) => type!))
  const exported = ['index', 'indexed-db', 'shared', 'websocket-link'].flatMap((entry) => {
    const source = read(`client/${entry}.ts`)
    const again = [...source.matchAll(/^export type \{ (.*?) \}/gm)].flatMap(([, names = '']) => names.split(', '))
    return [...again, ...[...source.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, type]) => type!)]
  })
  t.ok(exported.length > 20)
  t.strictSame(listed.sort(), exported.sort())
})

t.test('every link within the documents leads somewhere', async (t) => {
  for (const document of documents) {
    const prose = read(document).replace(/^```.*?^```$/gms, '').replace(/`[^`]*`/g, '')
    for (const [, target = ''] of prose.matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? document : join(dirname(document), path)
      if (!t.ok(existsSync(join(root, file)), `${document}: ${target}`)) continue
      if (anchor !== undefined) t.ok(anchors(read(file)).includes(anchor), `${document}: ${target}`)
    }
  }
})

function shown (figure: string | number | boolean, quote = '`\''): string {
  if (typeof figure === 'number') return figure.toLocaleString('en-US')
  const marks = typeof figure === 'boolean' ? quote.replace('\'', '') : quote
  return `${marks}${figure}${[...marks].reverse().join('')}`
}

function anchors (text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'))
}
