const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text that is HTML already, and is not escaped again. Made by {@link html}. */
export class Html {
  readonly #text: string

  constructor (text: string) {
    this.#text = text
  }

  toString (): string {
    return this.#text
  }
}

type Piece = Html | string | number | readonly Html[]

/**
 * A template literal that escapes whatever is put into it, unless it is HTML itself:
 * nothing that a user typed becomes markup because somebody forgot. Safe between tags
 * and in quoted attributes.
 */
export function html (strings: TemplateStringsArray, ...pieces: Piece[]): Html {
  return new Html(strings.map((string, index) => string + written(pieces[index] ?? '')).join(''))
}

function written (piece: Piece): string {
  if (piece instanceof Html) return String(piece)
  if (typeof piece === 'object') return piece.join('')
  return String(piece).replace(/[&<>"']/g, (character) => entities[character] ?? '')
}
