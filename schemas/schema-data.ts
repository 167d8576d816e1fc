import type { TSchema } from '@sinclair/typebox'
import type { StandardSchema } from './standard-schema.ts'

/** A schema of TypeBox 1, the package `typebox`. */
export type TypeBox1Schema = { readonly '~kind': string } | { readonly '~unsafe': unknown }

/** A schema of data: of TypeBox, of `typebox`, or of a library that follows Standard Schema. */
export type Schema = TSchema | TypeBox1Schema | StandardSchema

// The package is an optional peer: without it, this type is `any`, and no schema needs it.
/** @ts-ignore */
type TypeBox1Data<Of extends object> = import('typebox').Static<Of>

type TypesOf<Of> = Of extends { readonly '~standard': { readonly types?: infer Types } } ? NonNullable<Types> : never
type StandardInput<Of> = TypesOf<Of> extends { readonly input: infer Input } ? Input : unknown
type StandardOutput<Of> = TypesOf<Of> extends { readonly output: infer Output } ? Output : unknown

// `Static` of TypeBox is too deep for the compiler while a call still infers the schema.
type PlainData<Of> =
  Of extends { readonly static: infer Data } ? Data
    : Of extends TypeBox1Schema ? TypeBox1Data<Of> : never

/** Data of a schema as its sender writes it: before defaults and transforms. */
export type SchemaInput<Of> = Of extends { readonly '~standard': unknown } ? StandardInput<Of> : PlainData<Of>

/** Data of a schema as its check gives it: after defaults and transforms. */
export type SchemaOutput<Of> = Of extends { readonly '~standard': unknown } ? StandardOutput<Of> : PlainData<Of>

/** Data of a schema as it arrives at the other end: after defaults and transforms, as JSON carries it. */
export type ReceivedOutput<Of> = Of extends { readonly '~standard': unknown } ? AsJson<StandardOutput<Of>> : PlainData<Of>

/** A value as it arrives after `JSON.stringify` and `JSON.parse`: a date is a string. */
type AsJson<Value> =
  unknown extends Value ? Value
    : Value extends string | number | boolean | null | undefined ? Value
      : Value extends { toJSON: (...args: never) => infer Given } ? AsJson<Given>
        : Value extends bigint | symbol | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | ((...args: never) => unknown) ? never
          : { [Key in keyof Value]: AsJson<Value[Key]> }
