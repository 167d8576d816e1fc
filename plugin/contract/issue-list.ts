import { defaults } from '../../schemas/defaults.ts'
import type { Fault } from '../../schemas/errors.ts'
import { escapePointer } from '../../schemas/json-pointer.ts'
import type { StandardIssue } from '../../schemas/standard-schema.ts'
import { cutFault } from './fault-list.ts'

/** Turns the issues of a library's check into faults, up to the limit of one answer. */
export function describeIssues (issues: readonly StandardIssue[], pointer: string): Fault[] {
  const faults: Fault[] = []
  const seen = new Set<string>()
  for (const issue of issues) {
    for (const fault of toFaults(issue, pointer)) {
      const cut = cutFault(fault)
      const identity = `${cut.path} ${cut.message}`
      if (seen.has(identity)) continue
      seen.add(identity)
      faults.push(cut)
      if (faults.length === defaults.fixed.faults) return faults
    }
  }
  return faults.length > 0 ? faults : [{ path: pointer, message: 'is refused by its schema' }]
}

function * toFaults (issue: StandardIssue, pointer: string): Iterable<Fault> {
  let path = pointer
  for (const segment of issue.path ?? []) path += `/${keyOf(segment)}`
  const { code, keys, problem, message } = issue as StandardIssue & { code?: unknown, keys?: unknown, problem?: unknown }
  // Zod names the unknown keys of one object in one issue.
  if (code === 'unrecognized_keys' && Array.isArray(keys)) for (const key of keys) yield { path: `${path}/${keyOf(key)}`, message: 'is not known here' }
  // ArkType's message repeats the path; its `problem` does not.
  else yield { path, message: typeof problem === 'string' ? problem : typeof message === 'string' ? message : 'is refused by its schema' }
}

function keyOf (segment: PropertyKey | { readonly key: PropertyKey }): string {
  return escapePointer(String(typeof segment === 'object' ? segment.key : segment))
}
