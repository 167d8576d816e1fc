import { SchemaError, SequenceError, ValidationError } from './errors.ts'
import type { Fault } from './fault.ts'

/** Fields of an answer that only some errors have; undefined for any other error. */
export function detailsOf (error: unknown): { expected: number | undefined, errors: Fault[] | undefined } {
  return {
    expected: error instanceof SequenceError ? error.expected : undefined,
    errors: error instanceof ValidationError || error instanceof SchemaError ? error.errors : undefined
  }
}
