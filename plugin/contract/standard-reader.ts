import { SchemaError, type Fault } from '../../schemas/errors.ts'
import { checkNow, jsonSchemaOf, type StandardResult, type StandardSchema } from '../../schemas/standard-schema.ts'
import { isTooDeep, tooDeep, type EventReader } from './event-validator.ts'
import type { FormReader } from './form-reader.ts'
import { formReaderOf } from './form-schema.ts'
import { describeIssues } from './issue-list.ts'

/**
 * Checks and converts the data of one event by the check of the schema's own library.
 *
 * The library decides on everything, unknown keys included. Its JSON Schema says how the fields of
 * a form are converted before.
 */
export class StandardReader implements EventReader {
  readonly #name: string
  readonly #schema: StandardSchema
  /** Made when the first form arrives; null if the library gives no JSON Schema. */
  #form: FormReader | null | undefined

  constructor (name: string, schema: StandardSchema) {
    this.#name = name
    this.#schema = schema
  }

  read (data: unknown, pointer: string, coerce: boolean, faults: Fault[]): unknown {
    let result: StandardResult
    try {
      if (coerce) this.#formReader()?.read(data)
      result = checkNow(this.#schema, data)
    } catch (error) {
      // A recursive schema walks data as deep as the body goes, until the stack is full.
      if (!(error instanceof RangeError && isTooDeep(data))) throw new SchemaError(this.#name, pointer, error)
      faults.push(tooDeep(pointer))
      return undefined
    }
    if (result.issues === undefined) return result.value
    faults.push(...describeIssues(result.issues, pointer))
    return undefined
  }

  #formReader (): FormReader | null {
    if (this.#form === undefined) this.#form = formReaderOf(jsonSchemaOf(this.#schema, 'input'))
    return this.#form
  }
}
