import type { TSchema } from '@sinclair/typebox'
import { defaults } from '../../schemas/defaults.ts'
import { EventValidator, type EventReader } from './event-validator.ts'

/** The event by which a client measures the way to its session and back. No contract can declare it. */
export const pingEvent = 'tether.ping'

/** The data of a ping. The pong has the same id. */
export interface Ping {
  readonly id: string | number
}

const schema = {
  type: 'object',
  properties: { id: { anyOf: [{ type: 'string', maxLength: defaults.fixed.pingIdLength }, { type: 'number' }] } },
  required: ['id']
}

let reader: EventReader | null = null

/** The reader of a ping's data, compiled with the first ping. */
export function pingReader (): EventReader {
  reader ??= new EventValidator(pingEvent, schema as unknown as TSchema)
  return reader
}
