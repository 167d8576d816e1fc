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
  /** A CR at the end of the last piece. It has ended its line, and is read again, for a LF may follow. */
  let cr = ''
  let name = ''
  let data = ''
  return (text) => {
    text = cr + text
    // Only the new piece is searched: a long line comes in many, and searching all of them again would be quadratic.
    text.split(/\r\n?|\n/).forEach((piece, index) => {
      if (index > cr.length) {
        const [, field, value] = /^([^:]*):? ?(.*)/s.exec(rest) as unknown as [line: string, field: string, value: string]
        if (field === 'data') data += '\n' + value
        if (field === 'event') name = value
        if (field === 'retry' && /^\d+$/.test(value)) onRetry(+value)
        if (!rest) {
          if (data) onEvent(name, data.slice(1))
          name = data = ''
        }
        rest = ''
      }
      rest += piece
    })
    cr = /\r?$/.exec(text)![0]
    return rest.length + data.length
  }
}
