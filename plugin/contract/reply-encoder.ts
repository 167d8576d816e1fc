import type { TSchema } from '@sinclair/typebox'
import type { ValidateFunction } from 'ajv/dist/2019.js'
import { ContractError, SerializationError } from '../../schemas/errors.ts'
import { faultSummary } from '../../schemas/fault-summary.ts'
import type { Schema } from '../../schemas/schema-data.ts'
import { hasCheck, isStandard } from '../../schemas/standard-schema.ts'
import { messageOf } from '../../schemas/thrown.ts'
import { closeSchema } from './closed-schema.ts'
import { forgetFailures } from './failure-memo.ts'
import { describeErrors } from './fault-list.ts'
import { compileChecker } from './schema-compiler.ts'
import { checked, jsonWriter, schemaOf, writeJson } from './update-encoder.ts'

/**
 * Writes the reply to one request as JSON.
 *
 * It checks the value as JSON carries it, fills in defaults, and leaves out keys that the schema does not know.
 */
export class ReplyEncoder {
  readonly #event: string
  readonly #write: (value: unknown) => string

  /** @throws `FST_ERR_TETHER_CONTRACT` when the schema cannot be compiled. */
  constructor (event: string, schema: Schema) {
    this.#event = event
    this.#write = isStandard(schema) && hasCheck(schema)
      ? (value) => writeJson(checked(schema, value))
      : checkedWriter(`the reply to event "${event}"`, schemaOf(schema))
  }

  /** @throws `FST_ERR_TETHER_SERIALIZATION` for a value that its schema refuses, or that JSON cannot carry. */
  encode (value: unknown): string {
    try {
      return this.#write(value)
    } catch (error) {
      throw new SerializationError(`the reply to event "${this.#event}"`, messageOf(error))
    }
  }
}

function checkedWriter (what: string, schema: TSchema): (value: unknown) => string {
  const write = jsonWriter(what, schema)
  let accepts: ValidateFunction
  try {
    accepts = compileChecker(closeSchema(schema, { strict: false }))
  } catch (error) {
    throw new ContractError(`the schema of ${what} cannot be compiled: ${messageOf(error)}`)
  }
  return (value) => {
    const json: string | undefined = JSON.stringify(value)
    if (json === undefined) throw new TypeError(`it is ${typeof value}`)
    const plain: unknown = JSON.parse(json)
    forgetFailures()
    if (!accepts(plain)) throw new TypeError(faultSummary(describeErrors(accepts.errors ?? [], '')))
    return write(plain)
  }
}
