/** One block of an event stream: the lines between two blank lines. */
export interface EventBlock {
  /** The text as it arrived, without the blank line. */
  readonly raw: string
  readonly id?: string
  readonly event?: string
  readonly retry?: string
  /** All `data` lines, joined by LF. */
  readonly data?: string
  /** All comment lines, joined by LF, with the text after the colon. */
  readonly comment?: string
}

/** The complete blocks of a text, in order. An unfinished block is left out. */
export function parseBlocks (text: string): EventBlock[] {
  return text.split('\n\n').slice(0, -1).map(parseBlock)
}

/** Parses a text that grows. Each block is parsed once. */
export class GrowingBlocks {
  #blocks: EventBlock[] = []
  #parsed = 0

  /** The complete blocks of the text so far. */
  of (text: string): EventBlock[] {
    const end = text.lastIndexOf('\n\n') + 2
    if (end > this.#parsed + 1) {
      this.#blocks = this.#blocks.concat(parseBlocks(text.slice(this.#parsed, end)))
      this.#parsed = end
    }
    return this.#blocks
  }
}

function parseBlock (raw: string): EventBlock {
  const fields = new Map<string, string>()
  for (const line of raw.split('\n')) {
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1)
    const key = colon === 0 ? 'comment' : name
    const stripped = colon !== 0 && value.startsWith(' ') ? value.slice(1) : value
    const before = fields.get(key)
    fields.set(key, before === undefined || (key !== 'data' && key !== 'comment') ? stripped : `${before}\n${stripped}`)
  }
  return { raw, ...Object.fromEntries(fields) }
}
