/** The end of a batch, for the next one to refer to. All streams that got the batch share it. */
export class ChainLink {
  /** The last text of this batch and those before it; null while only one stream got it. */
  tail: Buffer | null = null
}

/** A stream's place in the chain: its last shared batch, and the bytes of shared batches without a break before it. */
export class ChainPlace {
  link: ChainLink | null = null
  bytes = 0

  /** The stream got text of its own, which breaks the chain. */
  leave (): void {
    this.link = null
    this.bytes = 0
  }

  /** Whether the stream's text ends with the link's present tail. */
  endsWith (link: ChainLink): boolean {
    return this.link === link && link.tail !== null && this.bytes >= link.tail.length
  }
}
