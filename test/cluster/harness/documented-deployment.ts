import { documented } from '../../proxies/harness/documented.ts'

// The program, settings and units of docs/deploying.md, as they stand there.
export const program = documented('js server')
const pm2 = documented('js pm2')
export const service = documented('ini service')
export const kubernetes = documented('yaml kubernetes')

/** The number that a pattern finds in a text, which may have underscores. */
export const numberIn = (text: string, pattern: RegExp): number => Number(pattern.exec(text)![1]!.replaceAll('_', ''))
/** The longest that the program takes to stop. */
export const stopMs = numberIn(program, /timeoutMs: ([\d_]+)/) + 4_000
export const killTimeoutMs = numberIn(pm2, /kill_timeout: ([\d_]+)/)
