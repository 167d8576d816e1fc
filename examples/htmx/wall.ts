const notesAtMost = 30

export interface Note {
  readonly id: number
  readonly name: string
  readonly text: string
  readonly at: Date
}

/** The newest notes, for as long as the server runs. */
export class Wall {
  #notes: Note[] = []
  #lastId = 0

  /** Newest first. */
  get notes (): readonly Note[] {
    return this.#notes
  }

  /** Adds a note, and removes the oldest if the wall is full. */
  add (name: string, text: string): { added: Note, removed: Note | undefined } {
    const added = { id: ++this.#lastId, name: name.trim(), text: text.trim(), at: new Date() }
    this.#notes.unshift(added)
    const removed = this.#notes.length > notesAtMost ? this.#notes.pop() : undefined
    return { added, removed }
  }
}
