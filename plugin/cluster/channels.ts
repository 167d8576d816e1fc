/**
 * Destinations in the log beside the URL patterns of endpoints. A pattern begins with a slash and none of these does. A
 * version of the library that does not know one ignores what goes there.
 */
export const channels = {
  /** Updates for the sessions of one owner. */
  user: (url: string) => `user:${url}`,
  /** Updates for one session, by its ref. */
  ref: (url: string) => `ref:${url}`,
  /** How many members the groups of a node have. */
  sizes: (url: string) => `sizes:${url}`,
  /** Events of the application for its nodes. */
  bus: 'bus',
  /** Changes of the values that all nodes share. */
  values: 'values'
} as const

/** Whether the nodes tell each other something there, which the application has not sent. */
export function isInternal (destination: string): boolean {
  return destination.startsWith('sizes:')
}

/** Whether what goes to a destination ends up in streams. */
export function carriesUpdates (destination: string): boolean {
  return /^(user:|ref:)?\//.test(destination)
}

/** The URL pattern whose sessions get what goes to a destination; null for one without sessions. */
export function endpointOf (destination: string): string | null {
  return carriesUpdates(destination) ? destination.slice(destination.indexOf('/')) : null
}
