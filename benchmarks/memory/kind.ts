export interface Kind {
  readonly name: string
  readonly server: 'bare' | 'fastify' | 'tether'
  readonly headers: Record<string, string>
  /** Most memory of an idle stream, as a multiple of the bare server's. */
  readonly goal?: number
}

const eventStream = { Accept: 'text/event-stream' }
const counting = { ...eventStream, 'X-Tether-Session': 'new' }

export const baseline = 'bare'

export const kinds: readonly Kind[] = [
  { name: baseline, server: 'bare', headers: eventStream },
  { name: 'bare, control', server: 'bare', headers: eventStream },
  { name: 'bare-fastify', server: 'fastify', headers: eventStream },
  { name: 'tether, counted', server: 'tether', headers: counting, goal: 1.75 },
  { name: 'tether, exact ids', server: 'tether', headers: eventStream, goal: 1.75 }
]

/** Those that are loaded, too: with broadcasts that some do not read, and with streams that come and go. */
export const loadedKinds = kinds.filter(({ name, server }) => server !== 'fastify' && name !== 'bare, control')
