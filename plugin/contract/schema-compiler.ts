import ajvFormats from 'ajv-formats'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import { Ajv2019, type Format, type Options, type ValidateFunction } from 'ajv/dist/2019.js'
import { rememberFailures } from './failure-memo.ts'
import { unionKeyword } from './union-keyword.ts'

const addFormats = ajvFormats as unknown as typeof ajvFormats.default

const logger = {
  log: () => {},
  // Ajv warns of unknown formats alone, which would allow everything.
  warn: (message: string) => { throw new Error(message.replace(' ignored', '')) },
  error: () => {}
}

let patterns = 0

/** Compiles a `pattern` for Ajv. */
export function compilePattern (pattern: string, flags: string): { test: (text: string) => boolean, toString: () => string } {
  const expression = new RegExp(pattern, flags)
  const name = `${String(expression)}${patterns++}`
  // Ajv takes expressions with equal names for the same one.
  return { test: rememberFailures((text) => expression.test(text)), toString: () => name }
}
compilePattern.code = 'compilePattern'

const formats: Readonly<Record<string, Format>> = Object.fromEntries(Object.entries(fullFormats).map(([name, format]) => [name, remember(format)]))

function remember (format: Format): Format {
  if (format instanceof RegExp) return { validate: rememberFailures((text) => format.test(text)) }
  if (typeof format === 'function') return { validate: rememberFailures(format) }
  if (typeof format !== 'object' || format.type === 'number') return format
  const { validate } = format
  const test = validate instanceof RegExp ? (text: string) => validate.test(text) : validate as (text: string) => boolean
  return { ...format, validate: rememberFailures(test) } as Format
}

const common: Options = {
  strictNumbers: true,
  strictTypes: false,
  strictTuples: false,
  allowMatchingProperties: true,
  ownProperties: true,
  addUsedSchema: false,
  logger,
  code: { regExp: compilePattern }
}
/** The checker has checked the schema already. */
const unchecked: Options = { ...common, strict: false, strictNumbers: true, meta: false, validateSchema: false }

const checker = prepare(new Ajv2019({ ...common, strictSchema: true, useDefaults: true }))
const explainer = prepare(new Ajv2019({ ...unchecked, useDefaults: true, allErrors: true }))
const tester = prepare(new Ajv2019(unchecked))
for (const keyword of ['anyOf', 'oneOf'] as const) explainer.removeKeyword(keyword).addKeyword(unionKeyword(keyword))

function prepare (ajv: Ajv2019): Ajv2019 {
  addFormats(ajv, { formats: [], keywords: true })
  for (const [name, format] of Object.entries(formats)) ajv.addFormat(name, format)
  return ajv
}

/** Compiles the check that decides. It stops at the first error, and fills in defaults. @throws for a schema that cannot be compiled */
export function compileChecker (schema: object): ValidateFunction {
  return checker.compile(schema)
}

/** Compiles the check that explains. It finds all errors of refused data; beyond its bounds it may find none. */
export function compileExplainer (schema: object): ValidateFunction {
  return explainer.compile(schema)
}

/** Compiles a check that leaves the data unchanged. */
export function compileTest (schema: object): ValidateFunction {
  return tester.compile(schema)
}
