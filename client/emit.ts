import type { AnyContract, UpdateData } from '../schemas/contract.ts'

type Events<Contract extends AnyContract> = Contract['events']

/** Name of an event. */
export type EventName<Contract extends AnyContract> = keyof Events<Contract> & string

// `UpdateData` of an event's schema is its data as well, and is less deep for the compiler than TypeBox's `Static`.
/** The data is optional where `{}` would do. */
type EmitArguments<Data> = {} extends Data ? [data?: Data] : [data: Data]

/** Sends an event of a contract. */
export type Emit<Contract extends AnyContract> = <Name extends EventName<Contract>>(name: Name, ...data: EmitArguments<UpdateData<Events<Contract>[Name]>>) => Promise<void>
