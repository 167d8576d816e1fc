/** Reads the text of an update as a client does. */
export function readFrame (text: string, { textNames, unnamed }: { readonly textNames: readonly string[], readonly unnamed: string | undefined }): { name: string, data: unknown } {
  let name = unnamed ?? 'message'
  const lines: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('event: ')) name = line.slice('event: '.length)
    if (line.startsWith('data: ')) lines.push(line.slice('data: '.length))
  }
  const data = lines.join('\n')
  return { name, data: textNames.includes(name.split('?', 1)[0]!) ? data : JSON.parse(data) }
}
