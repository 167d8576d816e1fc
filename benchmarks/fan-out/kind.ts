import { nchanMissing } from './nginx.ts'

export interface Kind {
  readonly name: string
  /** The server that serves it. */
  readonly server: string
  /** Folder of the build of the library that it runs, where it is not the one that users get. */
  readonly library?: string
  /** Whether its pipes can be filled before measuring, as a workload with blocked readers needs. */
  readonly fills: boolean
  /** Whether it does what the library does, so that goals name it. */
  readonly peer?: boolean
  /** Why it cannot be measured here; undefined when it can. */
  readonly missing?: () => string | undefined
}

export const baseline = 'bare'
export const control = 'bare again'
export const sockets = 'bare sockets'
export const counted = 'tether counted'
export const exact = 'tether exact'
export const webSocket = 'tether websocket'
export const betterSse = 'better-sse'
export const fastifySse = '@fastify/sse'

export const kinds: readonly Kind[] = [
  { name: baseline, server: 'bare', fills: true },
  { name: control, server: 'bare', fills: true },
  { name: sockets, server: sockets, fills: true },
  { name: counted, server: counted, fills: true },
  { name: exact, server: exact, fills: true },
  { name: webSocket, server: webSocket, fills: true },
  { name: betterSse, server: betterSse, fills: true, peer: true },
  { name: 'better-sse batched', server: 'better-sse batched', fills: true },
  { name: fastifySse, server: fastifySse, fills: true, peer: true },
  { name: 'fastify-sse-v2', server: 'fastify-sse-v2', fills: true, peer: true },
  { name: '@fastify/websocket', server: '@fastify/websocket', fills: true },
  { name: 'nchan', server: 'nchan', fills: false, peer: true, missing: nchanMissing }
]

/** Another build of the library, measured beside the present one. */
export function comparedKinds (library: string): Kind[] {
  return [counted, exact].map((name) => ({ name: `${name} compared`, server: name, library, fills: true }))
}

/** The kinds of a comma-separated list; the bare loop is always among them, since everything is compared with it. */
export function chooseKinds (available: readonly Kind[], list: string | undefined): readonly Kind[] {
  if (list === undefined) return available
  const names = list.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !available.some((kind) => kind.name === name))
  if (unknown !== undefined) {
    throw new Error(`--kinds: there is no '${unknown}', only ${available.map(({ name }) => `'${name}'`).join(', ')}`)
  }
  return available.filter(({ name }) => name === baseline || names.includes(name))
}
