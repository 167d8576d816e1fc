import type { TSchema } from '@sinclair/typebox'
import { EventValidator } from '../../../plugin/contract/event-validator.ts'
import type { Fault } from '../../../schemas/errors.ts'

/** Faults as `path message`, in the order of their paths; null for none. */
export function faultTexts (faults: Fault[] | null): string[] | null {
  return faults?.map(({ path, message }) => `${path} ${message}`).sort() ?? null
}

const validators = new Map<TSchema, EventValidator>()

/** The validator of a schema, compiled once: compiling takes most of the time. */
export function validatorOf (schema: TSchema): EventValidator {
  let validator = validators.get(schema)
  if (validator === undefined) validators.set(schema, validator = new EventValidator('test', schema))
  return validator
}
