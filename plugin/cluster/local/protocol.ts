/** The first value of each frame. */
export const kinds = {
  /** Node to hub, first: version, node, known hub or null, last offset that was reported or null. */
  join: 1,
  /** Node to hub: id, name of the call, arguments. */
  call: 2,
  ping: 3,
  /** Hub to node: the hub's id, the offset from which it reports. */
  welcome: 4,
  /** Hub to node: all that was missed has been reported. */
  up: 5,
  /** Hub to node: offset, bytes. */
  entry: 6,
  /** Hub to node: sender, bytes. */
  message: 7,
  /** Hub to node: id, outcome, result or the error's message. */
  answer: 8,
  pong: 9,
  /** Hub to node: why the hub does not take it. */
  refusal: 10
} as const

export const outcomes = { done: 0, failed: 1, full: 2 } as const

/** Nodes of different versions of this library meet during a deploy. */
export const wireVersion = 1
