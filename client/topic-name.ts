/**
 * The name of a topic, as the server makes it. A copy: pages load `client/` alone, and a test holds the two together.
 *
 * @throws `URIError` for half of a surrogate pair
 */
export function topicName (topic: string, params: Readonly<Record<string, unknown>>): string {
  let name = topic
  for (const key of Object.keys(params).sort()) {
    if (params[key] !== undefined) name += `${name === topic ? '?' : '&'}${encodeURIComponent(key)}=${encodeURIComponent(params[key] as string)}`
  }
  return name
}
