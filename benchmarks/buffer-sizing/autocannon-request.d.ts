/** What the sizing tool uses of autocannon beyond what the harness declares. */
declare module 'autocannon' {
  interface Request {
    /** Called for each request; what it returns is built into bytes then. */
    readonly setupRequest?: (request: Request) => Request
  }

  interface Options {
    /** Milliseconds from one look at the figures to the next; a run ends only then. */
    readonly sampleInt?: number
  }
}
