import type { FastifyInstance } from 'fastify'
import { OptionError } from '../../schemas/errors.ts'
import type { MountedTransport, SessionTransport, TransportParts } from '../sessions/session-transport.ts'
import { sseTransport } from '../sse/sse-transport.ts'
import { webSocketTransport } from '../websocket/websocket-transport.ts'
import type { AnyStatefulConfig } from './stateful-config.ts'

/** Every transport, by its name in `app.tether`. */
const transports = { sse: sseTransport, websocket: webSocketTransport }

type TransportName = keyof typeof transports
type Mode = NonNullable<AnyStatefulConfig['mode']>
type UpgradeOption = 'upgrade' | 'fallback'

/** The transports of each mode, in the order in which they see a request; each with the options of `stateful` that configure it. */
const modes: Record<Mode, ReadonlyArray<readonly [name: TransportName, ...options: UpgradeOption[]]>> = {
  sse: [['sse', 'upgrade', 'fallback']],
  websocket: [['websocket', 'upgrade']],
  both: [['websocket', 'upgrade'], ['sse', 'fallback']]
}

/** Makes the options of each transport that the configuration does not mention. */
export type DefaultOptions = { readonly [Name in TransportName]: () => OptionsOf<typeof transports[Name]> }
type OptionsOf<Given> = Given extends SessionTransport<infer Options> ? Options : never

/** The transports of one URL's sessions. */
export interface ChosenTransports {
  readonly mode: Mode
  /** Functions that prepare an instance, one for each transport, in the order in which they see a request. */
  readonly mount: ReadonlyArray<(routes: FastifyInstance, parts: Omit<TransportParts, 'mode' | 'isAlone'>) => MountedTransport | Promise<MountedTransport>>
}

/** Names of the functions of `app.tether` that make upgrades. */
const makers = new WeakMap<object, string>()

/** Makes such a function and notes its name, for the advice to an application that passes it uncalled. */
export function createMaker<Options, Made> (transport: TransportName, make: (options?: Options) => Made): (options?: Options) => Made {
  const name = transports[transport].maker
  const maker = (options?: Options, ...others: unknown[]): Made => {
    if (others.length > 0) throw new OptionError(`${name}() takes an object of options and nothing else: call it once, and what it returns for each request`)
    return make(options)
  }
  makers.set(maker, name)
  return maker
}

/** Chooses the transports of `mode`. Throws an error that names any option that does not fit. */
export function chooseTransports (instance: FastifyInstance, config: AnyStatefulConfig, defaultOptions: DefaultOptions): ChosenTransports {
  const { mode = 'sse' } = config
  const chosen = modes[mode]
  const isAlone = chosen.length === 1
  const mount = chosen.map(([name, ...options]) => {
    const transport: SessionTransport<any> = transports[name]
    // Every option is checked, even if the first one suffices.
    const [given] = options.map((option) => givenOptions(option, config[option], mode, transport)).filter((found) => found !== null)
    const resolved: unknown = given ?? defaultOptions[name]()
    return (routes: FastifyInstance, parts: Omit<TransportParts, 'mode' | 'isAlone'>) => transport.mount(routes, resolved, { ...parts, mode, isAlone })
  })
  for (const option of ['upgrade', 'fallback'] as const) {
    if (config[option] !== undefined && !chosen.some(([, ...options]) => options.includes(option))) throw new OptionError(misfit(option, 'left out', mode))
  }
  for (const [name] of chosen) transports[name].check(instance, mode, isAlone)
  return { mode, mount }
}

/** The options of a transport; null if the option is left out. */
function givenOptions<Options> (option: UpgradeOption, upgrade: unknown, mode: Mode, { maker, optionsOf }: SessionTransport<Options>): Options | null {
  if (upgrade === undefined) return null
  const options = optionsOf(upgrade)
  if (options !== null) return options
  throw new OptionError(misfit(option, `what ${maker}() returns`, mode) + adviceFor(upgrade, maker))
}

/** Advice for an application that gave another value. */
function adviceFor (upgrade: unknown, maker: string): string {
  const name = makers.get(upgrade as object)
  if (name !== undefined) return `; got ${name} itself: call it, ${maker}()`
  const isUpgrade = Object.values(transports).some(({ optionsOf }) => optionsOf(upgrade) !== null)
  return isUpgrade ? '' : `; got another function. Call ${maker}(), and give what it returns`
}

function misfit (option: string, allowed: string, mode: string): string {
  return `option "${option}" of app.tether.stateful() must be ${allowed} in mode "${mode}"`
}
