const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })

export function count (value: number): string {
  return whole.format(value)
}

/** A rate: small ones with a digit behind the point. */
export function rate (value: number): string {
  return value < 10 ? short.format(value) : whole.format(value)
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function bytes (value: number): string {
  let unit = 0
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024
    unit++
  }
  return `${unit === 0 ? whole.format(value) : short.format(value)} ${units[unit]}`
}

export function duration (ms: number): string {
  if (ms < 1) return `${ms < 0.05 ? '0' : short.format(ms)} ms`
  if (ms < 1_000) return `${whole.format(ms)} ms`
  const seconds = ms / 1_000
  if (seconds < 10) return `${short.format(seconds)} s`
  if (seconds < 60) return `${whole.format(Math.floor(seconds))} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** For the labels of an axis. */
export function brief (value: number): string {
  const [divisor, unit] = value >= 1e9 ? [1e9, 'G'] : value >= 1e6 ? [1e6, 'M'] : value >= 1e3 ? [1e3, 'k'] : [1, '']
  return `${short.format(value / divisor)}${unit}`
}
