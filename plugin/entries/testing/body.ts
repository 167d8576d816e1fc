import Fastify from 'fastify'

type Parser = (request: never, body: string, done: (error: Error | null, value?: unknown) => void) => void

let parser: Parser | null = null

/** Reads JSON as Fastify reads the body of a request, with the same errors. */
export function parseBody (text: string): unknown {
  if (!/"(?:__proto__|constructor)"/.test(text)) return JSON.parse(text)
  parser ??= Fastify().getDefaultJsonParser('error', 'error') as unknown as Parser
  let outcome: { error: Error | null, value: unknown } = { error: null, value: undefined }
  parser(null as never, text, (error, value) => { outcome = { error, value } })
  if (outcome.error !== null) throw outcome.error
  return outcome.value
}
