import type { AnyContract, EventInput, ReceivedReply, RequestDefinition } from '../schemas/contract.ts'
import { ask, type ReplyOptions } from './ask.ts'
import type { ErrorFields } from './client-error.ts'
import type { Hold } from './emitter.ts'
import type { createListeners } from './listeners.ts'
import { stateChange } from './listening.ts'

export type { ReplyOptions } from './ask.ts'

type Events<Contract extends AnyContract> = Contract['events']

/** Name of a request. */
export type RequestName<Contract extends AnyContract> = {
  [Name in keyof Events<Contract> & string]: Events<Contract>[Name] extends RequestDefinition<any, any> ? Name : never
}[keyof Events<Contract> & string]

/** The reply to a request: after the schema's defaults and transforms, as JSON carries it. */
export type ReplyOf<Contract extends AnyContract, Name extends RequestName<Contract>> = string extends keyof Events<Contract> ? any : ReceivedReply<Events<Contract>[Name]>

/** The data is optional where `{}` would do. */
type RequestArguments<Data> = {} extends Data ? [data?: Data, options?: ReplyOptions] : [data: Data, options?: ReplyOptions]

/** Sends a request of a contract, and gives its reply. */
export type Request<Contract extends AnyContract> = <Name extends RequestName<Contract>>(name: Name, ...given: RequestArguments<EventInput<Events<Contract>[Name]>>) => Promise<ReplyOf<Contract, Name>>

/** Data of the update `tether.reply`. */
export interface Reply extends ErrorFields {
  seq: number
}

/**
 * Keeps the requests of a connection that sends events in its own way, until their replies come.
 *
 * @param getSession returns the session's id. In another session, the open requests are in doubt
 * @param emit sends an event, and gives its number
 * @returns a function that makes a request, and a function that rejects all open requests
 */
export function createRequests (on: ReturnType<typeof createListeners>[0], getSession: () => string | undefined, emit: (name: string, data: unknown, hold: Hold) => Promise<unknown>) {
  /** What takes the replies to accepted requests, by their numbers. */
  const open = new Map<unknown, (reply: ErrorFields) => void>()
  /** Replies that came before the number of their request, which its answer tells. */
  const early: Reply[] = []
  /** Requests without a number. */
  let waiting = 0
  let last: string | undefined

  const hear = (reply: Reply) => {
    const finish = open.get(reply.seq)
    if (open.delete(reply.seq)) finish!(reply)
    else if (waiting) early.push(reply)
  }

  const fail = () => {
    early.length = 0
    open.forEach((finish) => finish({ code: 'TETHER_IN_DOUBT' }))
  }

  on('tether.reply', hear)
  on(stateChange, (state: string) => {
    if (state === 'closed' || last !== getSession()) fail()
    last = getSession()
  })

  return [
    (name: string, data?: unknown, options: ReplyOptions = {}) => ask(options, (finish, end) => {
      let takeBack: () => unknown = () => {}
      waiting++
      emit(name, data, (given) => { takeBack = given }).then((number) => open.set(number, finish), end).finally(() => {
        waiting--
        early.splice(0).forEach(hear)
      })
      return () => takeBack()
    }),
    fail
  ] as const
}
