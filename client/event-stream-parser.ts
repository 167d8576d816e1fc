/**
 * Parses an event stream, fed in pieces of any size.
 *
 * @param onEvent gets each event that has data; `name` is empty where the stream gives none
 * @param onRetry gets the milliseconds of each `retry:`
 * @returns what takes the next piece
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function createParser (onEvent: (name: string, data: string) => void, onRetry: (ms: number) => void): (text: string) => void {
  let rest = ''
  let endsInCr = false
  let name = ''
  let data = ''
  return (text) => {
    // A long line comes in many pieces; looking for its end in all of them again and again would be quadratic.
    const hasEnd = endsInCr || /[\r\n]/.test(text)
    endsInCr = text.endsWith('\r')
    rest += text
    if (!hasEnd) return
    // A CR at the very end may be the first half of a CRLF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop()!
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)/s.exec(line) as unknown as [line: string, field: string, value: string]
      if (field === 'data') data += '\n' + value
      if (field === 'event') name = value
      if (field === 'retry' && /^\d+$/.test(value)) onRetry(+value)
      if (!line) {
        if (data) onEvent(name, data.slice(1))
        name = data = ''
      }
    }
  }
}
