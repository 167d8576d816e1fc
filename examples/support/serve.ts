import type { FastifyInstance } from 'fastify'

/** An address to listen at. */
export interface Address {
  host: string
  port: number
}

/**
 * Listens at HOST and PORT, prints the address, and closes the application at a signal.
 *
 * @param what name of the example in the printed line
 * @param command shell command that starts the example
 */
export async function serve (build: () => Promise<FastifyInstance>, what: string, command: string): Promise<void> {
  const app = await build()
  await serveAs(what, command, {
    listen: (address) => app.listen(address),
    leave: async () => {
      await app.tether.drain({ timeoutMs: 1000, retryMs: 1000, spreadMs: 1000 })
      await app.close()
    }
  })
}

/**
 * Does the same for what is no single application.
 *
 * @param parts `listen` gives the URL
 */
export async function serveAs (what: string, command: string, { listen, leave }: { listen: (address: Address) => Promise<string>, leave: () => Promise<void> }): Promise<void> {
  const host = process.env.HOST ?? '127.0.0.1'
  const port = Number(process.env.PORT ?? 3000)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    fail(`PORT must be a whole number from 0 to 65535, not "${process.env.PORT}".`)
  }

  try {
    const url = await listen({ host, port })
    console.log(`${what} is at ${url} (Ctrl+C ends it)`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') fail(`Port ${port} on ${host} is taken. Choose another one: PORT=${port + 1} ${command}`)
    if (code === 'EACCES') fail(`Port ${port} on ${host} may not be opened by this user. Choose one above 1023: PORT=3000 ${command}`)
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') fail(`This machine has no address ${host}. HOST must be one of its own.`)
    throw error
  }

  let leaving = false
  const leaveOnce = async () => {
    // Ctrl+C can arrive twice: from the terminal and from npm.
    if (leaving) return
    leaving = true
    await leave()
  }
  process.on('SIGINT', leaveOnce)
  process.on('SIGTERM', leaveOnce)
}

function fail (message: string): never {
  console.error(message)
  process.exit(1)
}
