import type { Test } from 'tap'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { DocumentNames } from '../../../plugin/contract/schema-document.ts'
import { defineContract, type UpdateDefinition } from '../../../schemas/contract.ts'
import type { Fault } from '../../../schemas/errors.ts'
import type { Schema } from '../../../schemas/schema-data.ts'
import { faultTexts } from './validation.ts'

/** What an event's data becomes: the handler's data, or the faults. */
export function read (schema: Schema, data: unknown, { form = false } = {}): { value: unknown } | { faults: string[] } {
  const faults: Fault[] = []
  const value = compiled(schema).event('test')!.read(data, '/data', form, faults)
  return faults.length === 0 ? { value } : { faults: faultTexts(faults)! }
}

/** What an update's data becomes on the wire, as a client parses it. */
export function written (definition: UpdateDefinition, data: unknown): unknown {
  const { text } = CompiledContract.of(defineContract({ updates: { test: definition } })).encode('test', data)
  return JSON.parse(text.split('\n').find((line) => line.startsWith('data: '))!.slice('data: '.length))
}

/** The JSON Schema of an event, as the API document gets it. */
export function documented (schema: Schema): unknown {
  return compiled(schema).eventDocuments(new DocumentNames()).test
}

function compiled (schema: Schema): CompiledContract {
  return CompiledContract.of(defineContract({ events: { test: schema } }))
}

/** A feature of a library: a schema with it, data that fits with what the handler gets, and data that does not with its faults. */
export type Feature = readonly [name: string, schema: Schema, good: unknown, value: unknown, bad: unknown, faults: RegExp[]]

/** Checks that each feature accepts, converts and refuses as an event. As an update it does the same, if `checksUpdates`. */
export function checkFeatures (t: Test, features: readonly Feature[], { checksUpdates = true } = {}): void {
  for (const [name, schema, good, value, bad, expected] of features) {
    t.same(read(schema, good), { value }, `${name}: good data`)
    const outcome = read(schema, bad)
    const faults = 'faults' in outcome ? outcome.faults : []
    t.equal(faults.length, expected.length, `${name}: ${faults.length} faults: ${faults.join('; ')}`)
    for (const [index, pattern] of expected.entries()) t.match(faults[index], pattern, name)
    t.same(written(schema, good), JSON.parse(JSON.stringify(value)), `${name}: an update`)
    if (checksUpdates) t.throws(() => written(schema, bad), { code: 'FST_ERR_TETHER_SERIALIZATION' }, `${name}: a bad update`)
  }
}
