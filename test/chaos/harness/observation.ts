import type { Observation } from '../../../plugin/entries/contract-tests.ts'

/** Names of the updates in a chaos run. */
export const updateNames = ['own', 'line', 'all', 'value', 'snapshot'] as const

export type UpdateName = typeof updateNames[number]

/** Reads an update as an observation. */
export function observeUpdate (name: UpdateName, data: unknown, id: string | null): Observation {
  if (name !== 'line') return { type: name, id, ...data as object } as Observation
  const [n, all] = (data as string).split('\n')
  return { type: 'own', id, n: Number(n), all: Number(all) }
}
