// Holds the places of every option together: schema, default, check, type, comment and document.
// A failure names the option and the place.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TObject } from '@sinclair/typebox'
import t from 'tap'
import ts from 'typescript'
import { defaults as clientDefaults } from '../client/defaults.ts'
import { resolveNumbers } from '../client/options.ts'
import { sharedDefaults } from '../client/shared-defaults.ts'
import { storedDefaults } from '../client/stored-defaults.ts'
import { defaults } from '../schemas/defaults.ts'
import { optionTable, type OptionRow } from '../schemas/option-table.ts'
import { optionGroups } from '../schemas/options.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (name: string) => readFileSync(`${root}${name}`, 'utf8')

/** The comments of the members of an exported type, as an editor shows them. Inherited members count where asked for. */
const commentsOf = (() => {
  const files = ['plugin/index.ts', 'plugin/entries/memory.ts', 'plugin/entries/local.ts', 'plugin/entries/nats.ts', 'plugin/entries/redis.ts', 'plugin/entries/metrics.ts', 'plugin/entries/inspector.ts', 'client/options.ts', 'client/indexed-db.ts', 'client/shared.ts', 'client/websocket-link.ts']
  const program = ts.createProgram(files.map((file) => root + file), {
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, strict: true, noEmit: true, allowImportingTsExtensions: true, skipLibCheck: true, types: ['node']
  })
  const checker = program.getTypeChecker()
  return (file: string, typeName: string, withInherited: boolean): Map<string, string> => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(root + file)!)!
    const exported = checker.getExportsOfModule(module).find(({ name }) => name === typeName)!
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
    const members = withInherited ? checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol)) : [...symbol.members!.values()].filter(({ flags }) => flags & ts.SymbolFlags.Property)
    return new Map(members.map((member) => [member.name, plain(ts.displayPartsToString(member.getDocumentationComment(checker)))]))
  }
})()

/** A text without marks of code, in one line. */
function plain (text: string): string {
  return text.replace(/`/g, '').replace(/\s+/g, ' ').trim()
}

interface DocumentRow { fallback: string, unit: string, meaning: string, zero: string | undefined }

/** The rows of the tables of options in a section, by option. A bar within a cell is written `\|`. */
function documentRows (document: string, heading: string): Map<string, DocumentRow> {
  const section = read(document).split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
  const table = /^\| (?:option|limit) \|.*?(?=\n(?!\|)|$(?![\s\S]))/ms.exec(section)?.[0] ?? ''
  return new Map(table.split('\n').slice(2).map((line) => {
    const [name = '', fallback = '', unit = '', meaning = '', zero] = line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => plain(cell))
    return [name, { fallback, unit, meaning, zero }]
  }))
}

/** A default as comments and documents write it. */
function shown (value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en-US')
  return Array.isArray(value) ? `[${value.map(shown).join(', ')}]` : typeof value === 'string' ? `'${value}'` : String(value)
}

/** Options that are no limits: docs/api.md describes them. */
const described = ['contract', 'mode', 'upgrade', 'fallback', 'initialState', 'on', 'topics', 'authorize', 'start', 'onConnect', 'onDisconnect', 'onClose', 'onJoin', 'onLeave', 'onGap', 'serialize', 'deserialize', 'onFreeze', 'onRestore', 'onError']

interface Group {
  /** The entry that exports the type, if it is not the main one. */
  readonly file?: string
  readonly typeName: string
  readonly schema: TObject
  readonly rows: Readonly<Record<string, OptionRow>>
  readonly defaults: Readonly<Record<string, unknown>>
  /** Of its section in docs/options.md; null for parts of an option. */
  readonly heading: string | null
}

const { maxDetachedShare, ...pluginDefaults } = defaults.plugin
const groups: Record<string, Group> = {
  plugin: { typeName: 'TetherOptions', schema: optionGroups.plugin.schema, rows: optionTable.plugin, defaults: pluginDefaults, heading: '`app.register(tether, options)`' },
  cluster: { typeName: 'ClusterOptions', schema: optionGroups.cluster.schema, rows: optionTable.cluster, defaults: defaults.cluster, heading: '`cluster` of `app.register(tether, options)`' },
  stateful: { typeName: 'StatefulConfig', schema: optionGroups.stateful.schema, rows: optionTable.stateful, defaults: defaults.stateful, heading: '`app.tether.stateful(url, config)`' },
  topic: { typeName: 'TopicConfig', schema: optionGroups.topic.schema, rows: optionTable.topic, defaults: defaults.topic, heading: '`topics` of `app.tether.stateful(url, config)`' },
  upgrade: { typeName: 'UpgradeOptions', schema: optionGroups.upgrade.schema, rows: optionTable.stream, defaults: defaults.upgrade, heading: '`app.tether.sse.upgrade(options)`' },
  compression: { typeName: 'CompressionOptions', schema: optionGroups.compression.schema, rows: optionTable.compression, defaults: defaults.compression, heading: null },
  websocket: { typeName: 'WebSocketUpgradeOptions', schema: optionGroups.websocket.schema, rows: { ...optionTable.stream, ...optionTable.websocket }, defaults: defaults.websocket, heading: '`app.tether.websocket.upgrade(options)`' },
  drain: { typeName: 'DrainOptions', schema: optionGroups.drain.schema, rows: optionTable.drain, defaults: defaults.drain, heading: '`app.tether.drain(options)`' },
  nats: { file: 'plugin/entries/nats.ts', typeName: 'NatsOptions', schema: optionGroups.nats.schema, rows: optionTable.nats, defaults: defaults.nats, heading: '`nats(connection, options)`' },
  memory: { file: 'plugin/entries/memory.ts', typeName: 'MemoryOptions', schema: optionGroups.memory.schema, rows: optionTable.hub, defaults: defaults.memory, heading: '`memory(options)`' },
  local: { file: 'plugin/entries/local.ts', typeName: 'LocalOptions', schema: optionGroups.local.schema, rows: { ...optionTable.hub, ...optionTable.local }, defaults: defaults.local, heading: '`local(options)`' },
  redis: { file: 'plugin/entries/redis.ts', typeName: 'RedisOptions', schema: optionGroups.redis.schema, rows: optionTable.redis, defaults: defaults.redis, heading: '`redis(client, options)`' },
  metrics: { file: 'plugin/entries/metrics.ts', typeName: 'MetricsOptions', schema: optionGroups.metrics.schema, rows: optionTable.metrics, defaults: defaults.metrics, heading: '`prometheus(app, options)` and `otel(app, meter, options)`' },
  inspector: { file: 'plugin/entries/inspector.ts', typeName: 'InspectorOptions', schema: optionGroups.inspector.schema, rows: optionTable.inspector, defaults: defaults.inspector, heading: '`app.register(inspector, options)`' }
}

t.test('the groups are all there', async (t) => {
  t.strictSame(Object.keys(groups).sort(), Object.keys(optionGroups).filter((name) => name !== 'contract').sort(), 'schemas/options.ts')
  t.strictSame([...new Set(Object.values(groups).flatMap(({ rows }) => Object.values(rows)))].length, Object.values(optionTable).flatMap((rows) => Object.values(rows)).length, 'schemas/option-table.ts')
  t.strictSame(Object.keys(groups).sort(), Object.keys(defaults).filter((name) => name !== 'fixed').sort(), 'schemas/defaults.ts')
  const headings = [...read('docs/options.md').matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
  t.strictSame(headings, [...Object.values(groups).flatMap(({ heading }) => heading ?? []), 'Fixed'], 'docs/options.md')
})

for (const [groupName, { file = 'plugin/index.ts', typeName, schema, rows, defaults: figures, heading }] of Object.entries(groups)) {
  t.test(`options of ${groupName}`, async (t) => {
    const options = Object.keys(schema.properties)
    const comments = commentsOf(file, typeName, true)
    t.strictSame([...comments.keys()].sort(), [...options].sort(), `${typeName} has the options that schemas/options.ts checks`)
    for (const [name, comment] of comments) t.not(comment, '', `${typeName}.${name} needs a comment`)
    for (const name of Object.keys(figures)) t.ok(options.includes(name), `schemas/options.ts: ${name} has a default and no schema`)

    for (const [name, row] of Object.entries(rows)) {
      const { description = '', minimum } = schema.properties[name]!
      const comment = comments.get(name) ?? ''
      const fallback = 'default' in row ? shown(row.default) : row.defaultInWords
      if ('default' in row) t.strictSame(figures[name], row.default, `defaults.${groupName}.${name}`)
      t.ok(description.endsWith(`; default ${'default' in row ? typeof row.default === 'string' ? `"${row.default}"` : Array.isArray(row.default) ? JSON.stringify(row.default) : row.default : row.defaultInWords}`), `schemas/options.ts: ${name}: "${description}"`)
      const zero = !('unit' in row) ? '' : 'zero' in row ? `; 0: ${row.zero}` : '; at least 1'
      const start = comment.lastIndexOf('Default ')
      t.ok(comment.startsWith(`Default ${fallback}`, start) && comment.endsWith(`${zero}.`) && /^Default .*?(, [^;]*)?[;.]/.test(comment.slice(start)), `schemas/option-table.ts: the comment of ${name} must end in "Default ${fallback}${zero}." and ends in "${comment.slice(start)}"`)
      if (!('unit' in row)) continue
      t.equal(minimum, 'zero' in row ? 0 : 1, `schemas/options.ts: least ${name}`)
      t.equal(row.unit === 'ms', name.endsWith('Ms'), `schemas/option-table.ts: the name of ${name} ends in Ms where its unit is ms`)
      if (row.unit === 'ms' || row.unit === 'bytes') t.match(comment, row.unit === 'ms' ? /milliseconds/i : /bytes/i, `schemas/option-table.ts: the comment of ${name} must say its unit`)
    }
    for (const [name, fallback] of Object.entries(figures)) {
      if (!Object.hasOwn(rows, name)) t.match(comments.get(name), `Default ${shown(fallback)}.`, `${typeName}.${name} must say its default`)
    }

    if (heading === null) return
    const listed = documentRows('docs/options.md', heading)
    const documented = options.filter((name) => !described.includes(name))
    t.strictSame(documented.filter((name) => !listed.has(name)), [], `docs/options.md, ${heading}: every option has a row`)
    t.strictSame([...listed.keys()].filter((name) => !documented.includes(name)), [], `docs/options.md, ${heading}: every row is an option`)
    for (const [name, { fallback, unit, meaning, zero }] of listed) {
      const row = rows[name]
      const place = `docs/options.md, ${heading}: ${name}`
      t.not(meaning, '', `${place} needs a meaning`)
      if (row === undefined) {
        if (figures[name] !== undefined) t.equal(fallback, shown(figures[name]), `${place}: default`)
        continue
      }
      t.equal(fallback, 'default' in row ? shown(row.default) : row.defaultInWords, `${place}: default`)
      t.equal(unit, 'unit' in row ? row.unit : '', `${place}: unit`)
      t.equal(zero, !('unit' in row) ? '' : 'zero' in row ? row.zero : 'not allowed', `${place}: what 0 means`)
    }
  })
}

t.test('options that are no limits are in docs/api.md', async (t) => {
  const document = read('docs/api.md')
  for (const name of described) t.match(document, `\`${name}`, `docs/api.md: ${name}`)
  t.equal(maxDetachedShare, 0.25, 'a quarter of maxSessions, as the row of maxDetached has it')
})

t.test('docs/options.md lists every fixed limit, with its value', async (t) => {
  const listed = documentRows('docs/options.md', 'Fixed')
  t.strictSame([...listed.keys()].sort(), Object.keys(defaults.fixed).sort(), 'docs/options.md, Fixed')
  for (const [name, value] of Object.entries(defaults.fixed)) t.equal(listed.get(name)?.fallback, shown(value), `docs/options.md, Fixed: ${name}`)
})

const ofClient: Array<[file: string, typeName: string, heading: string, figures: Readonly<Record<string, number>>]> = [
  ['client/options.ts', 'ConnectOptions', 'Options', clientDefaults],
  ['client/indexed-db.ts', 'StoredOptions', 'Events that survive a reload', storedDefaults],
  ['client/shared.ts', 'SharedOptions', 'One session for all tabs', sharedDefaults],
  ['client/websocket-link.ts', 'WebSocketLinkOptions', 'WebSocket first', { openTimeoutMs: 4_000 }]
]

for (const [file, typeName, heading, figures] of ofClient) {
  t.test(`options of the client: ${typeName}`, async (t) => {
    const comments = commentsOf(file, typeName, typeName === 'ConnectOptions')
    const listed = documentRows('docs/client.md', heading)
    t.strictSame([...comments.keys()].filter((name) => !listed.has(name)), [], `docs/client.md, ${heading}: every option of ${typeName} has a row`)
    t.strictSame([...listed.keys()].filter((name) => !comments.has(name)), [], `${file}: ${typeName} has every option of docs/client.md, ${heading}`)
    for (const [name, figure] of Object.entries(figures)) {
      const { fallback, unit, zero } = listed.get(name) ?? {}
      t.equal(fallback, shown(figure), `docs/client.md, ${heading}: default of ${name}`)
      t.equal(unit === 'ms', name.endsWith('Ms'), `docs/client.md, ${heading}: unit of ${name}`)
      t.match(comments.get(name), new RegExp(`Default ${shown(figure)}[.;,]`), `${file}: the comment of ${typeName}.${name} must say its default`)
      if (zero === undefined) continue
      let isAllowed = true
      try {
        resolveNumbers({ [name]: 0 }, figures)
      } catch {
        isAllowed = false
      }
      t.equal(zero !== 'not allowed', isAllowed, `docs/client.md, ${heading}: what 0 means for ${name}`)
      t.not(zero, '', `docs/client.md, ${heading}: what 0 means for ${name}`)
    }
  })
}
