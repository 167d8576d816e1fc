import { OptionValidator } from '../app/option-validator.ts'
import type { EngineSource } from '../cluster/engine.ts'
import { LocalEngine } from '../cluster/local/local-engine.ts'
import { defaults } from '../../schemas/defaults.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import { optionGroups } from '../../schemas/options.ts'

export interface LocalOptions extends OptionsOf<typeof optionTable.hub>, OptionsOf<typeof optionTable.local> {
  /**
   * The directory of the hub's sockets and memory. Only the processes' own user may write to it. It is made if it is not
   * there. All processes of an application need the same. Default `fastify-tether-<uid>` in the directory for temporary files.
   */
  directory?: string
}

const validator = new OptionValidator(optionGroups.local)

/**
 * Makes the engine that joins the processes of one user on one host, without a server, for the coming option `cluster`
 * of `app.register(tether)`. One of the processes serves the others over a unix socket. When it ends, another takes over.
 *
 * @throws `FST_ERR_TETHER_OPTION` for options that are not allowed
 * @see docs/cluster.md
 */
export function local (options: LocalOptions = {}): EngineSource {
  validator.check(options)
  const { directory, ...limits } = options
  const settings = { ...defaults.local, ...limits, directory }
  return { engineFor: (application) => new LocalEngine(settings, application) }
}
