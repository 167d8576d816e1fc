import type { TSchema } from '@sinclair/typebox'
import { formatNames } from 'ajv-formats/dist/formats.js'
import { isRecord } from '../../schemas/record.ts'
import { closeSchema } from './closed-schema.ts'
import { FormReader } from './form-reader.ts'
import { compileTest } from './schema-compiler.ts'

const formats: ReadonlySet<string> = new Set(formatNames)

/** Makes the reader of a form's fields from the JSON Schema of a library that checks them afterwards. Null without a usable one. */
export function formReaderOf (schema: Record<string, unknown> | null): FormReader | null {
  if (schema === null) return null
  for (const omitted of [isForeignFormat, isForeignFormatOrPattern]) {
    try {
      const closed = without(closeSchema(schema as TSchema, { strict: false }), omitted) as Record<string, unknown>
      compileTest(closed)
      return new FormReader(closed)
    } catch { /* A library's pattern need not be one by the standard; a reference may lead nowhere. */ }
  }
  return null
}

function isForeignFormat (key: string, value: unknown): boolean {
  return key === 'format' && typeof value === 'string' && !formats.has(value)
}

function isForeignFormatOrPattern (key: string, value: unknown): boolean {
  return isForeignFormat(key, value) || (key === 'pattern' && typeof value === 'string')
}

function without (schema: unknown, omitted: (key: string, value: unknown) => boolean): unknown {
  if (Array.isArray(schema)) return schema.map((child) => without(child, omitted))
  if (!isRecord(schema)) return schema
  return Object.fromEntries(Object.entries(schema).filter(([key, value]) => !omitted(key, value)).map(([key, value]) => [key, without(value, omitted)]))
}
