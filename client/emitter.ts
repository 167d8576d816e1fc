/** Gets a function that takes an event back, unless it may have been sent, and gives something true if it did. */
export type Hold = (takeBack: () => unknown) => void

/** Sends an event of any name. The promise of an event that is taken back rejects. */
export type Emitter = (event: string, data?: unknown, hold?: Hold) => Promise<void>
