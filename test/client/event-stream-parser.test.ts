import { createParser as createReference } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import { createParser } from '../../client/event-stream-parser.ts'

type Seen = Array<[name: string, data: string] | number>

function parse (pieces: string[]): Seen {
  const seen: Seen = []
  const feed = createParser((name, data) => seen.push([name, data]), (ms) => seen.push(ms))
  for (const piece of pieces) feed(piece)
  return seen
}

function reference (pieces: string[]): Seen {
  const seen: Seen = []
  const { feed } = createReference({ onEvent: ({ event = '', data }) => seen.push([event, data]), onRetry: (ms) => seen.push(ms) })
  for (const piece of pieces) feed(piece)
  return seen
}

const stream = 'retry: 1000\r\nid: a.1\revent: tether\ndata: {"type":"hello"}\n\n: comment\n\n' +
  'event:row\ndata: <tr>\ndata:\ndata:  two\r\ndata\r\r\nevent: x\n\ndata: no name\u2028here\n\nretry: soon\nother: field\ndata: \n\ndata: unfinished\n'

t.test('reads a stream to the letter', async (t) => {
  t.strictSame(parse([stream]), [1000, ['tether', '{"type":"hello"}'], ['row', '<tr>\n\n two\n'], ['', 'no name\u2028here'], ['', '']])
  t.strictSame(parse([stream]), reference([stream]))
})

t.test('gives the same wherever it is split', async (t) => {
  const whole = parse([stream])
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second += 7) {
      const seen = parse([stream.slice(0, first), stream.slice(first, second), stream.slice(second)])
      if (JSON.stringify(seen) !== JSON.stringify(whole)) return t.fail(`split at ${first} and ${second}`)
    }
  }
  t.strictSame(parse([...stream]), whole)
})

t.test('agrees with eventsource-parser on any stream, in any pieces', async () => {
  const piece = fc.array(fc.oneof(
    fc.constantFrom('data', 'event', 'retry', 'id', ':', ': ', ' ', '\n', '\r', '\r\n', '\n\n', '\r\r', 'data: a\n', 'event: b\n', 'retry: 12\n', '\u2028', '\0', '1'),
    fc.string({ maxLength: 4 })
  ), { maxLength: 12 }).map((parts) => parts.join(''))
  fc.assert(fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
    // The reference takes bytes of a byte order mark at the start away; the decoder before ours has done so.
    fc.pre(!pieces.join('').startsWith('\xEF\xBB\xBF'))
    // The reference may wait for another line before it tells of one that ended in CR.
    pieces.push('\n')
    return JSON.stringify(parse(pieces)) === JSON.stringify(reference(pieces))
  }), { numRuns: 5_000 })
})

t.test('an event is told with the end of its last line, whatever that is', async (t) => {
  const ends = ['\n', '\r', '\r\n']
  for (const first of ends) {
    for (const last of ends) {
      // A LF would be the second half of the line end before it.
      if (first === '\r' && last === '\n') continue
      const text = `event: a${first}data: 1${first}${last}`
      t.strictSame(parse([text]), [['a', '1']], JSON.stringify(text))
      t.strictSame(parse([...text]), [['a', '1']], `${JSON.stringify(text)} in pieces`)
      t.strictSame(parse([...text, '', '\n', '', 'data: 2\n\n']), [['a', '1'], ['', '2']], 'and the next one')
    }
  }
  t.strictSame(parse(['data: 1\r', '\ndata: 2\r', '\n\r', '\n']), [['', '1\n2']], 'a CRLF in two pieces is one end')
})

t.test('it tells how much it keeps of an event that has not ended', async (t) => {
  const feed = createParser(() => {}, () => {})
  t.equal(feed('data: 123'), 9)
  t.equal(feed('45\n'), 6)
  t.equal(feed('data: 6'), 13)
  t.equal(feed('\n\n'), 0)
  t.equal(feed(': comment'), 9)
})
