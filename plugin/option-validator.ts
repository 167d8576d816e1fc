import { inspect } from 'node:util'
import type { TObject } from '@sinclair/typebox'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { OptionError } from '../schemas/errors.ts'

const ajv = new Ajv({ strict: false, allErrors: false, verbose: true })
ajv.addKeyword({ keyword: 'callable', validate: (_schema: unknown, data: unknown) => typeof data === 'function' })

/** Checks one group of options when they are given, long before a request could meet a bad one. */
export class OptionValidator {
  readonly #where: string
  readonly #schema: TObject
  readonly #validate: ValidateFunction

  /** @param where what the options are given to, as error messages say it */
  constructor (where: string, schema: TObject) {
    this.#where = where
    this.#schema = schema
    this.#validate = ajv.compile(schema)
  }

  /** @throws `FST_ERR_TETHER_OPTION`, naming the option, its value and what is allowed. */
  check (options: unknown): void {
    if (typeof options !== 'object' || options === null || Array.isArray(options)) {
      throw new OptionError(`${this.#where} takes an object of options, got ${show(options)}`)
    }
    if (!this.#validate(options)) throw new OptionError(this.#describe(this.#validate.errors![0]!, options))
  }

  #describe (error: ErrorObject, options: object): string {
    if (error.keyword === 'additionalProperties') {
      return `${this.#where} has no option "${error.params.additionalProperty}"; it has ${Object.keys(this.#schema.properties).join(', ')}`
    }
    const name = error.keyword === 'required' && error.instancePath === '' ? error.params.missingProperty : error.instancePath.split('/')[1]!
    const value = (options as Record<string, unknown>)[name]
    const allowed = this.#schema.properties[name]?.description ?? error.message
    if (value === undefined) return `${this.#where} needs option "${name}": ${allowed}`
    return `option "${name}" of ${this.#where} must be ${allowed}; got ${show(value)}`
  }
}

function show (value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 5, maxStringLength: 80 })
}
