const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** HTML text that is not escaped again. Made by {@link html}. */
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
 * A template literal that escapes every inserted value that is not HTML itself.
 * So a user's text never becomes markup by a forgotten escape. Safe between tags
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
