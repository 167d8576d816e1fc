import type { TSchema } from '@sinclair/typebox'
import { Ajv2019, type ValidateFunction } from 'ajv/dist/2019.js'
import ajvFormats from 'ajv-formats'
import { defaults } from '../schemas/defaults.ts'
import { ContractError, type Fault } from '../schemas/errors.ts'
import { closeSchema } from './closed-schema.ts'
import { describeErrors } from './fault-list.ts'
import { messageOf } from './thrown.ts'
import { refillBranches, unionKeyword } from './union-keyword.ts'

const addFormats = ajvFormats as unknown as typeof ajvFormats.default

const logger = {
  log: () => {},
  // An unknown format is all that it warns of, and would let everything pass.
  warn: (message: string) => { throw new Error(message.replace(' ignored', '')) },
  error: () => {}
}

const strict = createAjvs(false, true)
const coercing = createAjvs('array', false)

/** One Ajv stops at the first error, and decides; the other looks for all, and explains. */
function createAjvs (coerceTypes: false | 'array', checkSchemas: boolean): { checker: Ajv2019, explainer: Ajv2019 } {
  const options = { strict: false, strictNumbers: true, ownProperties: true, useDefaults: true, addUsedSchema: false, coerceTypes, logger }
  // A schema that one of them has checked need not be checked by the others.
  const unchecked = { ...options, meta: false, validateSchema: false }
  const ajvs = { checker: new Ajv2019(checkSchemas ? options : unchecked), explainer: new Ajv2019({ ...unchecked, allErrors: true }) }
  addFormats(ajvs.checker)
  addFormats(ajvs.explainer).removeKeyword(unionKeyword.keyword).addKeyword(unionKeyword)
  return ajvs
}

/**
 * Checks the data of one event, and names every fault.
 *
 * Its schema is compiled once for JSON (no coercion) and once for forms, whose
 * fields are all strings. A key that the schema does not know is a fault, unless
 * the schema allows others.
 */
export class EventValidator {
  readonly #json: Check
  readonly #form: Check

  /** @throws `FST_ERR_TETHER_CONTRACT` when the schema cannot be compiled. */
  constructor (name: string, schema: TSchema) {
    try {
      this.#json = new Check(closeSchema(schema, true), strict)
      // An enum has no type that a form's field could be coerced to; each literal has.
      this.#form = new Check(closeSchema(schema, false), coercing)
    } catch (error) {
      throw new ContractError(`the schema of event "${name}" cannot be compiled: ${messageOf(error)}`)
    }
  }

  /** The faults of `data`, their paths under `pointer`; null when there are none. Fills in defaults. */
  faults (data: unknown, pointer: string, coerce: boolean): Fault[] | null {
    try {
      // Coercion makes numbers that are not finite, and cannot replace the data as a whole: so what it gives is checked again.
      return (coerce ? this.#form.faults(data, pointer) : null) ?? this.#json.faults(data, pointer)
    } catch (error) {
      // A recursive schema walks data as deep as the body allows.
      if (error instanceof RangeError) return [tooDeep(pointer)]
      throw error
    }
  }
}

/** A schema compiled for one way of reading data. */
class Check {
  readonly #schema: object
  readonly #accepts: ValidateFunction
  readonly #explainer: Ajv2019
  /** Compiled when the first bad data comes. */
  #explain: ValidateFunction | null = null

  constructor (schema: object, ajvs: { checker: Ajv2019, explainer: Ajv2019 }) {
    this.#schema = schema
    this.#accepts = ajvs.checker.compile(schema)
    this.#explainer = ajvs.explainer
  }

  faults (data: unknown, pointer: string): Fault[] | null {
    if (this.#accepts(data)) return null
    if (isDeeper(data, defaults.fixed.explainedDepth)) return [tooDeep(pointer)]
    this.#explain ??= this.#explainer.compile(this.#schema)
    refillBranches()
    this.#explain(data)
    const faults = describeErrors(this.#explain.errors ?? [], pointer)
    return faults.length > 0 ? faults : [{ path: pointer, message: 'matches none of the allowed forms' }]
  }
}

function isDeeper (data: unknown, levels: number): boolean {
  if (typeof data !== 'object' || data === null) return false
  return levels === 0 || Object.values(data).some((child) => isDeeper(child, levels - 1))
}

function tooDeep (path: string): Fault {
  return { path, message: 'is nested too deeply' }
}
