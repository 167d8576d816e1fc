const durationUnits: Readonly<Record<string, number>> = { us: 0.001, µs: 0.001, ms: 1, s: 1_000, min: 60_000 }

const byteUnits: Readonly<Record<string, number>> = {
  B: 1, KB: 1e3, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30
}

/** `50ms`, `1.5s`: milliseconds. Throws for anything else, since a bare number could be either. */
export function parseDuration (name: string, text: string): number {
  return parse(name, text, durationUnits, 'a duration such as 50ms or 1.5s')
}

/** `256MB` (a million bytes each), `64KiB` (1,024 bytes): bytes. */
export function parseBytes (name: string, text: string): number {
  return Math.round(parse(name, text, byteUnits, 'a size such as 256MB, 64KiB or 200B'))
}

function parse (name: string, text: string, units: Readonly<Record<string, number>>, expected: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-zµ]+)$/.exec(text.trim())
  const factor = match?.[2] === undefined || !Object.hasOwn(units, match[2]) ? undefined : units[match[2]]
  const value = factor === undefined ? Number.NaN : Number(match?.[1]) * factor
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`--${name} must be ${expected}, got ${JSON.stringify(text)}`)
}
