/**
 * Parses an event stream that comes in pieces of any size. Each event is passed on as soon as its last line ends.
 *
 * @param onEvent gets each event with data; `name` is empty where the stream gives none
 * @param onRetry gets the milliseconds of each `retry:`
 * @returns a function that takes the next piece, and returns the number of characters held of an unfinished event
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export function createParser (onEvent: (name: string, data: string) => void, onRetry: (ms: number) => void): (text: string) => number {
  let rest = ''
  let endsInCr = false
  let name = ''
  let data = ''
  return (text) => {
    // The second half of a CRLF. The first half ended the line.
    if (endsInCr && text[0] === '\n') text = text.slice(1)
    else if (!text) return 0
    endsInCr = text.endsWith('\r')
    // A long line comes in many pieces. Searching all of them for its end at each piece would be quadratic.
    const hasEnd = /[\r\n]/.test(text)
    rest += text
    if (hasEnd) {
      const lines = rest.split(/\r\n|\n|\r/)
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
    return rest.length + data.length
  }
}
