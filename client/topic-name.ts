// The same as in schemas: a page without a bundler gets the modules of this folder alone.

/**
 * The name of a topic, such as `host?id=a`: its parameters are sorted by the code units of their keys, and URL-encoded.
 * Two sets of parameters with the same values, in any order, have the same name.
 *
 * @param params flat; parameters that are undefined do not count
 * @throws `URIError` for half of a surrogate pair
 */
export function topicName (topic: string, params: Readonly<Record<string, unknown>>): string {
  let name = topic
  for (const key of Object.keys(params).sort()) {
    if (params[key] !== undefined) name += `${name === topic ? '?' : '&'}${encodeURIComponent(key)}=${encodeURIComponent(params[key] as string)}`
  }
  return name
}
