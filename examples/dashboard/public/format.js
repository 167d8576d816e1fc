const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** @param {number} value */
export function count (value) {
  return whole.format(value)
}

/**
 * Three significant digits at most, so that a figure keeps its width.
 *
 * @param {number} value
 */
export function short (value) {
  const size = Math.abs(value)
  if (size >= 100) return whole.format(value)
  return value.toFixed(size >= 10 ? 1 : 2)
}

/**
 * Formats bytes on the move, in thousands.
 *
 * @param {number} value
 */
export function bytes (value) {
  return scaled(value, 1000, ['B', 'kB', 'MB', 'GB', 'TB'])
}

/**
 * Formats bytes in memory, in steps of 1,024, as makers of memory count.
 *
 * @param {number} value
 */
export function memory (value) {
  return scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB'])
}

/** @returns {[value: string, unit: string]} */
function scaled (value, step, units) {
  let index = 0
  // From 1,000 on, not 1,024: "1,007 MiB" is wider than "0.98 GiB".
  while (Math.abs(value) >= 999.5 && index < units.length - 1) {
    value /= step
    index++
  }
  return [index === 0 ? whole.format(value) : short(value), units[index]]
}

/** @param {number} milliseconds */
export function duration (milliseconds) {
  const seconds = milliseconds / 1000
  // A time above 0 is not shown as "0.0 s".
  if (seconds <= 0) return '0 s'
  if (seconds < 0.095) return `${Math.max(0.01, seconds).toFixed(2)} s`
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const rounded = Math.round(seconds)
  if (rounded < 60) return `${rounded} s`
  const minutes = Math.floor(rounded / 60)
  return minutes < 60 ? `${minutes} min ${rounded % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** @param {number} t */
export function clock (t) {
  const date = new Date(t)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':')
}
