import process from 'node:process'

/** The requests that a child process answers. Every argument and result must survive JSON. */
export type Calls = Record<string, (argument: any) => unknown>

export interface Request {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

export type Answer =
  | { readonly id: number, readonly result: unknown }
  | { readonly id: number, readonly error: string }

/** Id of the message by which a child reports that it takes requests. */
export const readyId = 0

/** Asks a child to end in order, so that the profiles of `--cpu-prof` get written. */
export const endRequest: Request = { id: -1, name: 'end', argument: null }

/** Answers the parent's requests until the parent goes away, and then ends this process. */
export function answer (calls: Calls): void {
  // Ctrl-C reaches the whole process group; the parent decides when children end.
  process.on('SIGINT', () => {})
  process.on('disconnect', () => process.exit(0))
  process.on('message', (message) => handle(calls, message as Request))
  send({ id: readyId, result: null })
}

async function handle (calls: Calls, { id, name, argument }: Request): Promise<void> {
  if (id === endRequest.id) process.exit(0)
  try {
    const call = calls[name]
    if (call === undefined) throw new Error(`this process does not answer '${name}'`)
    send({ id, result: await call(argument) ?? null })
  } catch (error) {
    send({ id, error: error instanceof Error ? error.stack ?? error.message : String(error) })
  }
}

function send (message: Answer): void {
  if (process.send === undefined) throw new Error('this file is started by another, not by hand')
  process.send(message)
}
