/** One fault of a refused body. */
export interface Fault {
  /** JSON pointer (RFC 6901) into the body, such as `/data/range`; empty for the body as a whole. */
  path: string
  message: string
}
