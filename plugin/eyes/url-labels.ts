import { otherName } from '../metrics/update-tally.ts'

/** Bounds the number of URLs that are labels: the first keep theirs, all later ones share `other`. */
export class UrlLabels {
  readonly #most: number
  readonly #known = new Set<string>()

  constructor (most: number) {
    this.#most = most
  }

  of (url: string): string {
    if (this.#known.has(url)) return url
    if (this.#known.size >= this.#most) return otherName
    this.#known.add(url)
    return url
  }
}
