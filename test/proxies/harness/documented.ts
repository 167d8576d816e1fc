import { readFileSync } from 'node:fs'

/** The only block of code in a guide, docs/deploying.md unless said otherwise, that is marked so. */
export function documented (mark: string, name = 'deploying'): string {
  const guide = readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), 'utf8')
  const blocks = guide.split(/^```/m).filter((block) => block.startsWith(`${mark}\n`))
  if (blocks.length !== 1) throw new Error(`docs/${name}.md has ${blocks.length} blocks of ${mark}`)
  return blocks[0]!.slice(mark.length + 1)
}

/** A text with each of the given parts replaced. Each must be there, once: the guide may not drift away from its tests. */
export function replaced (text: string, parts: Record<string, string>): string {
  for (const [part, by] of Object.entries(parts)) {
    const pieces = text.split(part)
    if (pieces.length !== 2) throw new Error(`${JSON.stringify(part)} is there ${pieces.length - 1} times in:\n${text}`)
    text = pieces.join(by)
  }
  return text
}
