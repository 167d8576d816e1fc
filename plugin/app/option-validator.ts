import { inspect } from 'node:util'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { OptionError } from '../../schemas/errors.ts'
import { optionGroups, type OptionGroup } from '../../schemas/options.ts'
import { isRecord } from '../../schemas/record.ts'
import { didYouMean, nearest } from '../../schemas/suggestion.ts'
import type { EngineSource } from '../cluster/engine.ts'
import { originFault } from '../routes/origin.ts'

const ajv = new Ajv({ strict: false, allErrors: false, verbose: true })
ajv.addKeyword({ keyword: 'callable', validate: (_schema: unknown, data: unknown) => typeof data === 'function' })
ajv.addKeyword({ keyword: 'engine', validate: (_schema: unknown, data: unknown) => isEngineSource(data) })
ajv.addKeyword({ keyword: 'cluster', validate: (_schema: unknown, data: unknown) => isEngineSource(data) || isPlain(data) })
ajv.addKeyword({ keyword: 'tuning', validate: (_schema: unknown, data: unknown) => isPlain(data) && typeof (data as { authorize?: unknown }).authorize === 'function' && Object.keys(data as object).length === 1 })
ajv.addKeyword({ keyword: 'origin', validate: (_schema: unknown, data: unknown) => originFault(data) === null })

const groups: readonly OptionGroup[] = Object.values(optionGroups)

/** Checks one group of options when they are given, before any request arrives. */
export class OptionValidator {
  readonly #where: string
  readonly #schema: OptionGroup['schema']
  readonly #validate: ValidateFunction

  constructor ({ where, schema }: OptionGroup) {
    this.#where = where
    this.#schema = schema
    this.#validate = ajv.compile(schema)
  }

  /**
   * @param advise gives advice about a name that is no option; null for none
   * @throws `FST_ERR_TETHER_OPTION`, which names the option, its value and what is allowed.
   */
  check (options: unknown, advise: (name: string) => string | null = () => null): void {
    if (!isRecord(options)) {
      throw new OptionError(`${this.#where} takes an object of options, got ${show(options)}`)
    }
    // Names come first: an option that seems to be missing may be there under another name.
    for (const name in options) this.#checkName(name, advise)
    if (!this.#validate(options)) throw new OptionError(this.#describe(this.#validate.errors!, options))
  }

  #checkName (name: string, advise: (name: string) => string | null): void {
    const { properties } = this.#schema
    if (Object.hasOwn(properties, name)) return
    const names = Object.keys(properties)
    const advice = advise(name)
    throw new OptionError(`${this.#where} has no option "${name}"; it has ${names.join(', ')}${advice === null ? hint(name, this.#where, names) : `. ${advice}`}`)
  }

  #describe (errors: ErrorObject[], options: Record<string, unknown>): string {
    const [error] = errors as [ErrorObject]
    const name = error.keyword === 'required' && error.instancePath === '' ? error.params.missingProperty : error.instancePath.split('/')[1]!
    const value = options[name]
    const allowed = this.#schema.properties[name]?.description ?? error.message
    if (value === undefined) return `${this.#where} needs option "${name}": ${allowed}`
    return `option "${name}" of ${this.#where} must be ${allowed}; got ${show(value)}${this.#detail(name, value, errors)}`
  }

  /** Describes the fault within a list or an object. */
  #detail (name: string, value: unknown, errors: ErrorObject[]): string {
    if (name === 'trustedOrigins' && Array.isArray(value)) {
      for (const origin of value) {
        const fault = originFault(origin)
        if (fault !== null) return `. ${show(origin)} ${fault}`
      }
    }
    const unknown = errors.find(({ keyword, instancePath }) => keyword === 'additionalProperties' && instancePath === `/${name}`)
    if (unknown === undefined) return ''
    const where = `"${name}" of ${this.#where}`
    const part = String(unknown.params.additionalProperty)
    const parts = Object.keys((unknown.parentSchema as { properties?: object } | undefined)?.properties ?? {})
    return `. It has no "${part}"${hint(part, where, parts)}`
  }
}

/** Names the group that an unknown option belongs to, or the option that was meant. */
function hint (name: string, where: string, names: readonly string[]): string {
  const homes = groups.filter((group) => group.where !== where && Object.hasOwn(group.schema.properties, name)).map((group) => group.where)
  if (homes.length > 0) return `. "${name}" belongs to ${homes.join(' and ')}`
  const own = didYouMean(name, names)
  if (own !== '') return own
  for (const group of groups) {
    const meant = nearest(name, Object.keys(group.schema.properties))
    if (meant !== null) return `. Did you mean "${meant}", which belongs to ${group.where}?`
  }
  return ''
}

/** Whether a value makes engines. */
export function isEngineSource (value: unknown): value is EngineSource {
  return typeof value === 'object' && value !== null && typeof (value as Partial<EngineSource>).engineFor === 'function'
}

function isPlain (value: unknown): boolean {
  return isRecord(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value))
}

function show (value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 5, maxStringLength: 80 })
}
