import { platform } from 'node:os'
import { linuxSources } from './linux-sources.ts'
import { portableSources } from './portable-sources.ts'
import { processSources } from './process-sources.ts'
import type { Source } from './source.ts'

/** The figures of this machine and of this process. */
export function machineSources (): Source[] {
  return [...(platform() === 'linux' ? linuxSources() : portableSources()), ...processSources()]
}
