import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { Type as T0 } from '@sinclair/typebox'
import { toStandardJsonSchema } from '@valibot/to-json-schema'
import { scope, type } from 'arktype'
import t from 'tap'
import { Type as T1 } from 'typebox'
import * as v from 'valibot'
import * as z from 'zod'
import type { Schema } from '../../../schemas/schema-data.ts'
import { documented, read } from './libraries.ts'

/** The outcome of one feature in one library; null where the library has no such feature. */
type Cell = readonly [schema: () => Schema, data: unknown, bad?: unknown] | null
type Probe = (...cell: NonNullable<Cell>) => string

/** Good data arrives, converted or not, and bad data is refused. */
const decides: Probe = (schema, data, bad) => {
  // The check of TypeBox fills in defaults in place.
  const outcome = read(schema(), structuredClone(data))
  const refused = read(schema(), structuredClone(bad))
  if ('faults' in outcome || !('faults' in refused)) return 'not checked'
  return isDeepStrictEqual(outcome.value, data) ? 'checked' : 'converted'
}

const unknownKeys: Probe = (schema, data) => {
  const outcome = read(schema(), data)
  return 'faults' in outcome ? 'refused' : isDeepStrictEqual(outcome.value, data) ? 'kept' : 'left out'
}

const form: Probe = (schema, data) => 'faults' in read(schema(), structuredClone(data), { form: true }) ? 'text' : 'converted'
const document: Probe = (schema) => 'properties' in (documented(schema()) as object) ? 'shown' : 'open'

function outcomeOf (probe: Probe, cell: Cell): string {
  if (cell === null) return '–'
  try {
    return probe(...cell)
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'FST_ERR_TETHER_CONTRACT') return 'refused at the start'
    if (code === 'FST_ERR_TETHER_SCHEMA') return 'refused at the first event'
    throw error
  }
}

interface Node { name: string, next?: Node | undefined }
const ZodNode = z.object({ name: z.string(), get next () { return z.optional(ZodNode) } })
const ValibotNode: v.GenericSchema<Node> = v.object({ name: v.string(), next: v.optional(v.lazy(() => ValibotNode)) })
const { node: ArkNode } = scope({ node: { name: 'string', 'next?': 'node' } }).export()

function table (T: typeof T0): Record<string, [probe: Probe, zod: Cell, valibot: Cell, arktype: Cell, typebox: Cell]> {
  const isTypeBox1 = T !== T0
  const data = { a: 'x', n: 5, l: [1] }
  const wrong = { a: 1, n: 5, l: [1] }
  const known = { a: 'x' }
  const tagged = { k: 'a', n: 1 }
  const linked = { name: 'a', next: { name: 'b' } }
  const unlinked = { name: 'a', next: { name: 1 } }
  const slow = async () => true
  return {
    'types, objects, lists': [decides,
      [() => z.object({ a: z.string(), n: z.number(), l: z.array(z.number()) }), data, wrong],
      [() => v.object({ a: v.string(), n: v.number(), l: v.array(v.number()) }), data, wrong],
      [() => type({ a: 'string', n: 'number', l: 'number[]' }), data, wrong],
      [() => T.Object({ a: T.String(), n: T.Number(), l: T.Array(T.Number()) }), data, wrong]],
    'limits and patterns': [decides,
      [() => z.string().min(2).regex(/^x/), 'xy', 'yx'],
      [() => v.pipe(v.string(), v.minLength(2), v.regex(/^x/)), 'xy', 'yx'],
      [() => type(/^x/).and('string >= 2'), 'xy', 'yx'],
      [() => T.String({ minLength: 2, pattern: '^x' }), 'xy', 'yx']],
    formats: [decides,
      [() => z.email(), 'a@b.example', 'a'],
      [() => v.pipe(v.string(), v.email()), 'a@b.example', 'a'],
      [() => type('string.email'), 'a@b.example', 'a'],
      [() => T.String({ format: 'email' }), 'a@b.example', 'a']],
    'unions with a tag': [decides,
      [() => z.discriminatedUnion('k', [z.object({ k: z.literal('a'), n: z.number() }), z.object({ k: z.literal('b') })]), tagged, { k: 'a' }],
      [() => v.variant('k', [v.object({ k: v.literal('a'), n: v.number() }), v.object({ k: v.literal('b') })]), tagged, { k: 'a' }],
      [() => type({ k: "'a'", n: 'number' }).or({ k: "'b'" }), tagged, { k: 'a' }],
      [() => T.Union([T.Object({ k: T.Literal('a'), n: T.Number() }), T.Object({ k: T.Literal('b') })]), tagged, { k: 'a' }]],
    'schemas that refer to themselves': [decides,
      [() => ZodNode, linked, unlinked],
      [() => ValibotNode, linked, unlinked],
      [() => ArkNode, linked, unlinked],
      [() => isTypeBox1
        ? T1.Cyclic({ Node: T1.Object({ name: T1.String(), next: T1.Optional(T1.Ref('Node')) }) }, 'Node')
        : T0.Recursive((This) => T0.Object({ name: T0.String(), next: T0.Optional(This) })), linked, unlinked]],
    brands: [decides, [() => z.string().brand<'id'>(), 'x', 1], [() => v.pipe(v.string(), v.brand('id')), 'x', 1], [() => type('string#id'), 'x', 1], null],
    refinements: [decides,
      [() => z.string().refine((text) => text !== 'y'), 'x', 'y'],
      [() => v.pipe(v.string(), v.check((text) => text !== 'y')), 'x', 'y'],
      [() => type.string.narrow((text) => text !== 'y'), 'x', 'y'],
      // Only TypeBox 1 has them.
      isTypeBox1 ? [() => T1.Refine(T1.String(), (text) => text !== 'y'), 'x', 'y'] : [() => T0.Transform(T0.String()).Decode(String).Encode(String), 'x', 'y']],
    'asynchronous refinements': [decides,
      [() => z.string().refine(slow), 'x', 1],
      [() => v.pipeAsync(v.string(), v.checkAsync(slow)) as never, 'x', 1],
      [() => type.string.narrow(slow as never), 'x', 1], null],
    'transforms, codecs, coercion': [decides,
      [() => z.coerce.number(), '5', 'x'],
      [() => v.pipe(v.string(), v.toNumber()), '5', 'x'],
      [() => type('string.numeric.parse'), '5', 'x'],
      [() => isTypeBox1 ? T1.Codec(T1.String()).Decode(Number).Encode(String) : T0.Transform(T0.String()).Decode(Number).Encode(String), '5', 'x']],
    defaults: [decides,
      [() => z.object({ a: z.string().default('x') }), {}, { a: 1 }],
      [() => v.object({ a: v.optional(v.string(), 'x') }), {}, { a: 1 }],
      [() => type({ a: 'string = "x"' }), {}, { a: 1 }],
      [() => T.Object({ a: T.String({ default: 'x' }) }), {}, { a: 1 }]],
    '`catch`, `fallback`': [decides, [() => z.object({ a: z.string().catch('x') }), { a: 1 }, 5], [() => v.object({ a: v.fallback(v.string(), 'x') }), { a: 1 }, 5], null, null],
    'unknown keys': [unknownKeys,
      [() => z.object({ a: z.string() }), { ...known, b: 1 }], [() => v.object({ a: v.string() }), { ...known, b: 1 }], [() => type({ a: 'string' }), { ...known, b: 1 }], [() => T.Object({ a: T.String() }), { ...known, b: 1 }]],
    'unknown keys of `strictObject`, `"+": "reject"`': [unknownKeys,
      [() => z.strictObject({ a: z.string() }), { ...known, b: 1 }], [() => v.strictObject({ a: v.string() }), { ...known, b: 1 }], [() => type({ '+': 'reject', a: 'string' }), { ...known, b: 1 }], null],
    'fields of a form': [form,
      [() => z.object({ n: z.number() }), { n: '5' }], [() => v.object({ n: v.number() }), { n: '5' }], [() => type({ n: 'number' }), { n: '5' }], [() => T.Object({ n: T.Number() }), { n: '5' }]],
    'API document': [document,
      [() => z.object({ n: z.number() }), null], [() => v.object({ n: v.number() }), null], [() => type({ n: 'number' }), null], [() => T.Object({ n: T.Number() }), null]]
  }
}

/** The rows of the table in docs/schemas.md: a feature, then a cell for each library. */
function documentedRows (): string[][] {
  const text = readFileSync(new URL('../../../docs/schemas.md', import.meta.url), 'utf8')
  const lines = text.slice(text.indexOf('| feature |')).split('\n')
  return lines.slice(2, lines.findIndex((line) => !line.startsWith('|'))).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()))
}

for (const [name, T] of [['@sinclair/typebox', T0], ['typebox', T1 as unknown as typeof T0]] as const) {
  t.test(`docs/schemas.md says what each feature becomes, with ${name}`, async (t) => {
    const rows = documentedRows()
    const features = table(T)
    t.strictSame(rows.map(([feature]) => feature), Object.keys(features))
    for (const [feature, ...cells] of rows) {
      const [probe, ...libraries] = features[feature!]!
      t.strictSame(cells, libraries.map((cell) => outcomeOf(probe, cell)), feature!)
    }
  })
}

t.test('with toStandardJsonSchema, forms of Valibot are converted and the API document shows them', async (t) => {
  const schema = () => toStandardJsonSchema(v.object({ n: v.number() }))
  t.equal(outcomeOf(form, [schema, { n: '5' }]), 'converted')
  t.equal(outcomeOf(document, [schema, null]), 'shown')
})
