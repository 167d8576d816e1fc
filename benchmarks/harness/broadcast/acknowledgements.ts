import net from 'node:net'
import { listen } from '../streams/loopback.ts'

/**
 * A connection of its own, from the readers' process to the server's, on which one byte says that all
 * readers have all frames of a tick. It bypasses the parent, which would cost more than the measured work.
 */
export class Acknowledgements {
  readonly port: number
  /** Called for each tick that has reached all readers. */
  onTick: () => void = () => {}
  /** Called when the readers' process is gone. */
  onLost: () => void = () => {}

  private constructor (port: number, server: net.Server) {
    this.port = port
    server.on('connection', (socket) => {
      socket.setNoDelay(true)
      socket.on('data', (bytes) => {
        for (let count = 0; count < bytes.length; count += 1) this.onTick()
      })
      socket.on('error', () => {})
      socket.on('close', () => this.onLost())
    })
  }

  static async listen (): Promise<Acknowledgements> {
    const server = net.createServer()
    return new Acknowledgements(await listen(server), server)
  }
}
