import type { TSchema } from '@sinclair/typebox'
import type { ValidateFunction } from 'ajv/dist/2019.js'
import { defaults } from '../../schemas/defaults.ts'
import { ContractError, type Fault } from '../../schemas/errors.ts'
import { messageOf } from '../../schemas/thrown.ts'
import { closeSchema } from './closed-schema.ts'
import { forgetFailures } from './failure-memo.ts'
import { describeErrors } from './fault-list.ts'
import { FormReader } from './form-reader.ts'
import { compileChecker, compileExplainer } from './schema-compiler.ts'
import { refillBranches } from './union-keyword.ts'

/** Checks the data of one event. */
export interface EventReader {
  /**
   * Gives the data that the handler gets, or adds every fault to `faults`, with paths below `pointer`.
   *
   * @param coerce whether the data holds the fields of a form, which are first converted
   * @throws `FST_ERR_TETHER_SCHEMA`
   */
  read: (data: unknown, pointer: string, coerce: boolean, faults: Fault[]) => unknown
}

/**
 * Checks the data of one event by JSON Schema, and names every fault.
 *
 * An unknown key is a fault, unless the schema allows other keys. The fields of a form are
 * all strings; they are first converted to the types of the schema.
 */
export class EventValidator implements EventReader {
  readonly #schema: Record<string, unknown>
  readonly #accepts: ValidateFunction
  /** Compiled when the first bad data arrives. */
  #explain: ValidateFunction | null = null
  /** Made when the first form arrives. */
  #form: FormReader | null = null

  /** @throws `FST_ERR_TETHER_CONTRACT` when the schema cannot be compiled. */
  constructor (name: string, schema: TSchema) {
    try {
      this.#schema = closeSchema(schema)
      this.#accepts = compileChecker(this.#schema)
    } catch (error) {
      throw new ContractError(`the schema of event "${name}" cannot be compiled: ${messageOf(error)}`)
    }
  }

  /** Gives the faults of `data`, with paths below `pointer`; null for none. Fills in defaults. `coerce` converts the fields of a form. */
  faults (data: unknown, pointer: string, coerce: boolean): Fault[] | null {
    forgetFailures()
    try {
      if (coerce) (this.#form ??= new FormReader(this.#schema)).read(data)
      return this.#accepts(data) ? null : this.#explained(data, pointer)
    } catch (error) {
      // A recursive schema walks data as deep as the body goes.
      if (error instanceof RangeError) return [tooDeep(pointer)]
      throw error
    }
  }

  /** Gives `data` itself, with defaults filled in. */
  read (data: unknown, pointer: string, coerce: boolean, faults: Fault[]): unknown {
    const found = this.faults(data, pointer, coerce)
    if (found !== null) faults.push(...found)
    return data
  }

  #explained (data: unknown, pointer: string): Fault[] {
    if (isTooDeep(data)) return [tooDeep(pointer)]
    this.#explain ??= compileExplainer(this.#schema)
    refillBranches()
    this.#explain(data)
    const faults = describeErrors(this.#explain.errors ?? [], pointer)
    return faults.length > 0 ? faults : [{ path: pointer, message: 'matches none of the allowed forms' }]
  }
}

/** Whether data is nested deeper than faults are named. */
export function isTooDeep (data: unknown): boolean {
  return isDeeper(data, defaults.fixed.explainedDepth)
}

function isDeeper (data: unknown, levels: number): boolean {
  if (typeof data !== 'object' || data === null) return false
  return levels === 0 || Object.values(data).some((child) => isDeeper(child, levels - 1))
}

export function tooDeep (path: string): Fault {
  return { path, message: 'is nested too deeply' }
}
