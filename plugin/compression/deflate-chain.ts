/** The end of a batch, to which the next batch may refer. All streams that got the batch share its link. */
export class ChainLink {
  /** The last text up to the end of this batch; null while only one stream got the batch. */
  tail: Buffer | null = null
}

/** A stream's position in the chain: its last shared batch, and the bytes of the unbroken row of shared batches that ends with it. */
export class ChainPosition {
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
