import ajvFormats from 'ajv-formats'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import { Ajv2019, type Format, type Options, type ValidateFunction } from 'ajv/dist/2019.js'
import { rememberFailures } from './failure-memo.ts'
import { unionKeyword } from './union-keyword.ts'

const addFormats = ajvFormats as unknown as typeof ajvFormats.default

const logger = {
  log: () => {},
  // An unknown format is all that it warns of, and would let everything pass.
  warn: (message: string) => { throw new Error(message.replace(' ignored', '')) },
  error: () => {}
}

let patterns = 0

/** The expression of a `pattern` that Ajv tests texts by. */
export function compilePattern (pattern: string, flags: string): { test: (text: string) => boolean, toString: () => string } {
  const expression = new RegExp(pattern, flags)
  const name = `${String(expression)}${patterns++}`
  // Ajv keeps equal names for one and the same.
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
/** A schema that the checker has taken need not be checked again. */
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

/** Stops at the first error, and fills in defaults. It decides. @throws for a schema that cannot be compiled */
export function compileChecker (schema: object): ValidateFunction {
  return checker.compile(schema)
}

/** Looks for all errors, of data that is refused. It may give up, and let pass. */
export function compileExplainer (schema: object): ValidateFunction {
  return explainer.compile(schema)
}

/** Tells whether data fits, and leaves it as it is. */
export function compileTest (schema: object): ValidateFunction {
  return tester.compile(schema)
}
