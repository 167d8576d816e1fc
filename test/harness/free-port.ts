import { createServer, type AddressInfo } from 'node:net'

/** A port of the loopback that nobody has at the moment. */
export async function freePort (): Promise<number> {
  const listener = createServer()
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  await new Promise((resolve) => listener.close(resolve))
  return port
}
