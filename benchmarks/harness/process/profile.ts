import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'

const intervalMicroseconds = 200

/** Profile of the processor time of one part of a round. */
export class Profile {
  readonly #session: Session

  private constructor (session: Session) {
    this.#session = session
  }

  static async start (): Promise<Profile> {
    const session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: intervalMicroseconds })
    await session.post('Profiler.start')
    return new Profile(session)
  }

  /** Writes it as a `.cpuprofile`, which DevTools and editors open. */
  async write (file: string): Promise<void> {
    const { profile } = await this.#session.post('Profiler.stop')
    this.#session.disconnect()
    writeFileSync(file, JSON.stringify(profile))
  }
}
