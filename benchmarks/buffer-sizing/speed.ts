import { parseBytes } from '../harness/report/quantity.ts'

/** Speed at which a reader reads. */
export interface Speed {
  readonly name: string
  /** Infinity for no limit, 0 for a reader that takes nothing. */
  readonly bytesPerSecond: number
}

export const fast: Speed = { name: 'fast', bytesPerSecond: Number.POSITIVE_INFINITY }
export const frozen: Speed = { name: 'frozen', bytesPerSecond: 0 }

/** Reads `fast,1MB/s,20KB/s,frozen`. */
export function parseSpeeds (name: string, list: string): Speed[] {
  const speeds = list.split(',').map((text) => parseSpeed(name, text.trim()))
  const repeated = speeds.find((speed, index) => speeds.findIndex((other) => other.name === speed.name) !== index)
  if (repeated !== undefined) throw new Error(`--${name} names '${repeated.name}' twice`)
  return speeds
}

function parseSpeed (name: string, text: string): Speed {
  if (text === fast.name) return fast
  if (text === frozen.name) return frozen
  if (!text.endsWith('/s')) {
    throw new Error(`--${name} takes fast, frozen and speeds such as 100KB/s, got ${JSON.stringify(text)}`)
  }
  return { name: text, bytesPerSecond: parseBytes(name, text.slice(0, -2)) }
}
