/** What a run leaves behind it, for the next to refer to: kept by the streams that got it, and the same for all of them. */
export class ChainLink {
  /** The end of the text of this run and those that it followed; null while only one stream got it. */
  tail: Buffer | null = null
}

/** Where a stream stands: which shared run it got last, and how many bytes of such runs follow each other before its end. */
export class ChainPlace {
  link: ChainLink | null = null
  bytes = 0

  /** Text of its own has come between. */
  leave (): void {
    this.link = null
    this.bytes = 0
  }

  /** Whether its text ends with the tail that a link has by now. */
  endsWith (link: ChainLink): boolean {
    return this.link === link && link.tail !== null && this.bytes >= link.tail.length
  }
}
