import { inspect } from 'node:util'
import type { TObject } from '@sinclair/typebox'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { OptionError } from '../../schemas/errors.ts'
import { optionGroups } from '../../schemas/options.ts'
import { isRecord } from '../../schemas/record.ts'
import { didYouMean, nearest } from '../../schemas/suggestion.ts'
import { originFault } from '../routes/origin.ts'

const ajv = new Ajv({ strict: false, allErrors: false, verbose: true })
ajv.addKeyword({ keyword: 'callable', validate: (_schema: unknown, data: unknown) => typeof data === 'function' })
ajv.addKeyword({ keyword: 'origin', validate: (_schema: unknown, data: unknown) => originFault(data) === null })

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

  /**
   * @param advise what else is known of a name that is no option; null for nothing
   * @throws `FST_ERR_TETHER_OPTION`, naming the option, its value and what is allowed.
   */
  check (options: unknown, advise: (name: string) => string | null = () => null): void {
    if (!isRecord(options)) {
      throw new OptionError(`${this.#where} takes an object of options, got ${show(options)}`)
    }
    // Before what is missing, which may be there under another name.
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

  /** What is wrong within a value that is made of several. */
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

/** Where an option belongs that was given to another function, or what was meant by one that nobody has. */
function hint (name: string, where: string, names: readonly string[]): string {
  const homes = optionGroups.filter(([home, { properties }]) => home !== where && Object.hasOwn(properties, name)).map(([home]) => home)
  if (homes.length > 0) return `. "${name}" belongs to ${homes.join(' and ')}`
  const own = didYouMean(name, names)
  if (own !== '') return own
  for (const [home, { properties }] of optionGroups) {
    const meant = nearest(name, Object.keys(properties))
    if (meant !== null) return `. Did you mean "${meant}", which belongs to ${home}?`
  }
  return ''
}

function show (value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 5, maxStringLength: 80 })
}
