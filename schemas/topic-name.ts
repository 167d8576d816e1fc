/**
 * The name of a topic, such as `host?id=a`: its parameters are sorted by the code units of their keys, and URL-encoded.
 * Two sets of parameters with the same values, in any order, have the same name.
 *
 * @param params flat; parameters that are undefined do not count
 * @throws `URIError` for half of a surrogate pair
 */
export function topicName (topic: string, params: Readonly<Record<string, unknown>>): string {
  const pairs = Object.keys(params).sort().filter((key) => params[key] !== undefined).map((key) => `${encodeURIComponent(key)}=${encodeURIComponent(String(params[key]))}`)
  return topic + (pairs.length > 0 ? '?' : '') + pairs.join('&')
}
