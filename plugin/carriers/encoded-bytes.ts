/** Makes a carrier's form of some bytes: a chunk, a message, a deflated block. */
export type Form<Made> = (bytes: Buffer) => Made

/** Bytes for any number of streams, with the forms that their carriers need. */
export abstract class EncodedBytes {
  abstract readonly bytes: Buffer
  #form: Form<unknown> | null = null
  #made: unknown
  #others: Map<Form<unknown>, unknown> | null = null

  /** The bytes in a form; each form is made once. */
  as<Made> (form: Form<Made>): Made {
    if (this.#form === form) return this.#made as Made
    if (this.#form === null) {
      this.#made = form(this.bytes)
      this.#form = form
      return this.#made as Made
    }
    // Most bytes need one form only.
    this.#others ??= new Map()
    let made = this.#others.get(form)
    if (made === undefined) this.#others.set(form, made = form(this.bytes))
    return made as Made
  }
}
