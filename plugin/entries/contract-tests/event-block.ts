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
