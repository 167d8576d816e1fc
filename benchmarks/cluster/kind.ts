import type { Engine } from './node.ts'

/** Nodes on one engine. */
export interface Kind {
  readonly name: string
  readonly engine: Engine
  readonly nodes: number
}

/** Without `cluster`: the same application in one process. */
export const baseline = 'one node'
export const control = 'one node, control'

export const kinds: readonly Kind[] = [
  { name: baseline, engine: 'none', nodes: 1 },
  { name: control, engine: 'none', nodes: 1 },
  ...(['redis', 'local'] as const).flatMap((engine) => [2, 4].map((nodes): Kind => ({ name: `${nodes} nodes, ${engine}`, engine, nodes })))
]
