import type { ErrorObject } from 'ajv/dist/2019.js'
import { cutText } from '../../schemas/cut-text.ts'
import { defaults } from '../../schemas/defaults.ts'
import type { Fault } from '../../schemas/errors.ts'
import { escapePointer } from '../../schemas/json-pointer.ts'

/** Keywords that Ajv checks before an object's keys. Where one fails, it does not look at the keys. */
const beforeKeys: ReadonlySet<string> = new Set(['minProperties', 'maxProperties', 'propertyNames'])

/** Turns Ajv's errors into faults, up to the limit of one answer. */
export function describeErrors (errors: ErrorObject[], pointer: string): Fault[] {
  const faults: Fault[] = []
  const seen = new Set<string>()
  for (const error of flatten(errors)) {
    const fault = cutFault(toFault(error, pointer))
    const identity = `${fault.path} ${fault.message}`
    if (seen.has(identity)) continue
    seen.add(identity)
    faults.push(fault)
    if (faults.length === defaults.fixed.faults) break
  }
  return faults
}

/**
 * Replaces the error of each failed union. Where one branch fits better than all others, its
 * errors take the place; otherwise a single error does.
 */
function * flatten (errors: ErrorObject[]): Iterable<ErrorObject> {
  const unexplored = new Set<string>()
  for (const error of errors) {
    // The error of `then` or `else` says what is wrong.
    if (error.keyword === 'if') continue
    if (error.keyword !== 'anyOf' && error.keyword !== 'oneOf') {
      if (beforeKeys.has(error.keyword)) unexplored.add(error.instancePath)
      // Unknown keys cannot be told apart where a union failed, or where Ajv did not look at the keys.
      if (error.keyword !== 'unevaluatedProperties' || !unexplored.has(error.instancePath)) yield error
      continue
    }
    unexplored.add(error.instancePath)
    if (error.params.matched > 1) {
      yield { ...error, message: 'matches more than one of the allowed forms' }
      continue
    }
    const branches: ErrorObject[][] = error.params.branches.map((list: ErrorObject[]) => list.filter(({ keyword }) => keyword !== 'if'))
    const meant = meantBranch(error, branches)
    if (meant === null) yield commonError(error, branches) ?? error
    else yield * flatten(meant)
  }
}

function meantBranch (union: ErrorObject, branches: ErrorObject[][]): ErrorObject[] | null {
  const [first, second] = branches.filter((errors) => !errors.some((error) => isOtherType(error, union) || isOtherTag(error, union)))
    .sort((left, right) => left.length - right.length)
  if (first === undefined) return null
  return second === undefined || first.length < second.length ? first : null
}

/** Gives one error for all branches where the type, the tag or the literal fits none of them. */
function commonError (union: ErrorObject, branches: ErrorObject[][]): ErrorObject | null {
  const tags = branches.map((errors) => errors.find((error) => isOtherTag(error, union)))
  const [tag] = tags
  if (tag !== undefined && tags.every((other) => other?.instancePath === tag.instancePath)) {
    return { ...tag, keyword: 'enum', params: { allowedValues: tags.flatMap((other) => other!.params.allowedValues ?? [other!.params.allowedValue]) } }
  }
  const types = branches.map((errors) => errors.find((error) => isOtherType(error, union)))
  if (!types.every((type) => type !== undefined)) return null
  const names = new Set(types.flatMap((type) => type.params.type))
  return { ...union, keyword: 'type', message: `must be ${[...names].join(' or ')}` }
}

/** Whether an error shows that a branch was not meant: the branch takes another type. */
function isOtherType (error: ErrorObject, union: ErrorObject): boolean {
  return error.keyword === 'type' && error.instancePath === union.instancePath
}

/** Whether an error shows that a branch was not meant: the value, or one of its properties, is the tag of another branch. */
function isOtherTag (error: ErrorObject, union: ErrorObject): boolean {
  return (error.keyword === 'const' || error.keyword === 'enum') && error.instancePath.indexOf('/', union.instancePath.length + 1) === -1
}

function toFault (error: ErrorObject, pointer: string): Fault {
  const path = pointer + error.instancePath
  const { params } = error
  switch (error.keyword) {
    case 'required': return { path: `${path}/${escapePointer(params.missingProperty)}`, message: 'is required' }
    case 'additionalProperties': return { path: `${path}/${escapePointer(params.additionalProperty)}`, message: 'is not known here' }
    case 'unevaluatedProperties': return { path: `${path}/${escapePointer(params.unevaluatedProperty)}`, message: 'is not known here' }
    case 'enum': return { path, message: `must be one of ${params.allowedValues.map((value: unknown) => JSON.stringify(value)).join(', ')}` }
    case 'const': return { path, message: `must be ${JSON.stringify(params.allowedValue)}` }
    case 'type': return { path, message: Array.isArray(params.type) ? `must be ${params.type.join(' or ')}` : error.message! }
    case 'false schema': return { path, message: 'is not allowed' }
    default: return { path, message: error.message ?? `fails "${error.keyword}"` }
  }
}

/** Cuts a fault's path and message. A key may be as long as the body, and every fault below repeats it. */
export function cutFault ({ path, message }: Fault): Fault {
  const { faultPathBytes, faultTextBytes } = defaults.fixed
  return { path: cutText(path, faultPathBytes), message: cutText(message, faultTextBytes) }
}
