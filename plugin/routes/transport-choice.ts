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

/** The transports of each mode, the one that is asked first at the beginning, and the options that say what each goes by. */
const modes: Record<Mode, ReadonlyArray<readonly [name: TransportName, ...options: UpgradeOption[]]>> = {
  sse: [['sse', 'upgrade', 'fallback']],
  websocket: [['websocket', 'upgrade']],
  both: [['websocket', 'upgrade'], ['sse', 'fallback']]
}

/** Gives the options of each transport where the configuration says nothing of it. */
export type DefaultOptions = { readonly [Name in TransportName]: () => OptionsOf<typeof transports[Name]> }
type OptionsOf<Given> = Given extends SessionTransport<infer Options> ? Options : never

/** What carries the sessions of one URL. */
export interface ChosenTransports {
  readonly mode: Mode
  /** Prepares an instance for all of them; in the order in which they are asked. */
  readonly mount: ReadonlyArray<(routes: FastifyInstance, parts: Omit<TransportParts, 'mode' | 'isAlone'>) => MountedTransport | Promise<MountedTransport>>
}

/** Names of the functions of `app.tether` that make upgrades. */
const makers = new WeakMap<object, string>()

/** Gives such a function, which is known by its name where an application gives it uncalled. */
export function createMaker<Options, Made> (transport: TransportName, make: (options?: Options) => Made): (options?: Options) => Made {
  const name = transports[transport].maker
  const maker = (options?: Options, ...others: unknown[]): Made => {
    if (others.length > 0) throw new OptionError(`${name}() takes an object of options and nothing else: call it once, and what it returns for each request`)
    return make(options)
  }
  makers.set(maker, name)
  return maker
}

/** Chooses as `mode` says. Throws an error that names the option which does not go with it. */
export function chooseTransports (instance: FastifyInstance, config: AnyStatefulConfig, defaultOptions: DefaultOptions): ChosenTransports {
  const { mode = 'sse' } = config
  const chosen = modes[mode]
  const isAlone = chosen.length === 1
  const mount = chosen.map(([name, ...options]) => {
    const transport: SessionTransport<any> = transports[name]
    // Each is looked at, also where the first is enough.
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

/** The options that a transport goes by; null where the option is left out. */
function givenOptions<Options> (option: UpgradeOption, upgrade: unknown, mode: Mode, { maker, optionsOf }: SessionTransport<Options>): Options | null {
  if (upgrade === undefined) return null
  const options = optionsOf(upgrade)
  if (options !== null) return options
  throw new OptionError(misfit(option, `what ${maker}() returns`, mode) + adviceFor(upgrade, maker))
}

/** What to do, for an application that gave something else. */
function adviceFor (upgrade: unknown, maker: string): string {
  const name = makers.get(upgrade as object)
  if (name !== undefined) return `; got ${name} itself: call it, ${maker}()`
  const isUpgrade = Object.values(transports).some(({ optionsOf }) => optionsOf(upgrade) !== null)
  return isUpgrade ? '' : `; got another function. Call ${maker}(), and give what it returns`
}

function misfit (option: string, allowed: string, mode: string): string {
  return `option "${option}" of app.tether.stateful() must be ${allowed} in mode "${mode}"`
}
