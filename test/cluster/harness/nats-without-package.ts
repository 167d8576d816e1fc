// A process in which the plugin does not find its NATS package, though the application has a connection. Prints what `open` answers.
import { register } from 'node:module'
import { pathToFileURL } from 'node:url'

const [port, name, folder] = process.argv.slice(2) as [string, string, string]
register(`data:text/javascript,${encodeURIComponent(`
  export async function resolve (specifier, context, next) {
    if (specifier !== ${JSON.stringify(name)}) return next(specifier, context)
    throw Object.assign(new Error("Cannot find package '" + specifier + "'"), { code: 'ERR_MODULE_NOT_FOUND' })
  }
`)}`)
const { nats } = await import('../../../plugin/entries/nats.ts')
const { connect } = await import(pathToFileURL(folder).href)
const connection = await connect({ servers: `127.0.0.1:${port}` })
const engine = nats(connection).engineFor({ name: 'shop', logMs: 60_000 })
try {
  await engine.open('one', { entry () {}, message () {}, up () {}, down () {}, forgot () {} })
  console.log('open')
} catch (error) {
  console.log((error as Error & { code: string }).code, (error as Error).message)
}
await engine.close()
await connection.close()
