import type { AnyContract, EventInput } from '../schemas/contract.ts'

type Events<Contract extends AnyContract> = Contract['events']

/** Name of an event. */
export type EventName<Contract extends AnyContract> = keyof Events<Contract> & string

/** The data is optional where `{}` would do. */
type EmitArguments<Data> = {} extends Data ? [data?: Data] : [data: Data]

/** Sends an event of a contract. */
export type Emit<Contract extends AnyContract> = <Name extends EventName<Contract>>(name: Name, ...data: EmitArguments<EventInput<Events<Contract>[Name]>>) => Promise<void>
