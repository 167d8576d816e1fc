// More than a window at full rate; a sheet that is held for hours keeps its newest.
const rowsAtMost = 8000

// A silence longer than this is a hole in the line that is drawn.
const holeMs = 2500

/** The last minute of one strip's figures, in columns, as uPlot wants them. */
export class SeriesBuffer {
  /** @type {[number[], ...(number | null)[][]]} */
  columns

  /** @param {number} width how many figures a row has */
  constructor (width) {
    this.columns = [[], ...Array.from({ length: width }, () => [])]
  }

  get width () {
    return this.columns.length - 1
  }

  get lastT () {
    return this.columns[0].at(-1) ?? -Infinity
  }

  /**
   * Adds a row, or fills a part of one that is there.
   *
   * @param {number} t
   * @param {number[]} values
   * @param {number} [offset] column of the first value
   */
  add (t, values, offset = 0) {
    const [times, ...columns] = this.columns
    let row = times.length - 1
    while (row >= 0 && times[row] > t) row--
    if (times[row] !== t) {
      // Rows are only added at the end; older rows have been seen.
      if (row !== times.length - 1) return
      if (t - this.lastT > holeMs && times.length > 0) this.#push(times[row] + 1)
      this.#push(t)
      row = times.length - 1
    }
    values.forEach((value, index) => {
      const column = columns[index + offset]
      if (column !== undefined) column[row] = value
    })
  }

  /** Removes rows older than `t`. */
  trim (t) {
    const gone = Math.max(this.before(t), this.columns[0].length - rowsAtMost)
    if (gone > 0) for (const column of this.columns) column.splice(0, gone)
  }

  /** How many rows lie before `t`. */
  before (t) {
    const [times] = this.columns
    let low = 0
    let high = times.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (times[middle] < t) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * The newest figures no later than `t`.
   *
   * @param {number} [t]
   * @returns {(number | null)[] | null}
   */
  at (t = Infinity) {
    const row = this.before(t + 1) - 1
    return row < 0 ? null : this.columns.slice(1).map((column) => this.#lastIn(column, row))
  }

  /**
   * Least, most and newest figure of a column; null if it has none.
   *
   * @param {number} column
   * @param {number} from
   * @returns {[low: number, high: number, newest: number] | null}
   */
  extent (column, from) {
    let low = Infinity
    let high = -Infinity
    let newest = null
    const figures = this.columns[column + 1]
    for (let row = this.before(from); row < figures.length; row++) {
      const figure = figures[row]
      if (figure === null) continue
      newest = figure
      low = Math.min(low, figure)
      high = Math.max(high, figure)
    }
    return newest === null ? null : [low, high, newest]
  }

  // Parts of a row come one after the other; the previous row bridges the moment.
  #lastIn (column, row) {
    return column[row] ?? column[row - 1] ?? null
  }

  #push (t) {
    this.columns[0].push(t)
    for (let index = 1; index < this.columns.length; index++) this.columns[index].push(null)
  }
}
