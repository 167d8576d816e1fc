import { deepStrictEqual } from 'node:assert/strict'
import { createParser } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import { encodeData, encodeFrame, encodeRetry, Frame, type FrameFields } from '../../../plugin/protocol/frame.ts'

const cases: Array<[string, FrameFields, string]> = [
  ['text', { data: 'hello' }, 'data: hello\n\n'],
  ['empty text', { data: '' }, 'data: \n\n'],
  ['a string goes out as it is', { data: '{"a":1}' }, 'data: {"a":1}\n\n'],
  ['an object as JSON', { data: { a: 'x\ny' } }, 'data: {"a":"x\\ny"}\n\n'],
  ['null as JSON', { data: null }, 'data: null\n\n'],
  ['a number as JSON', { data: 0 }, 'data: 0\n\n'],
  ['what has toJSON', { data: new Date(0) }, 'data: "1970-01-01T00:00:00.000Z"\n\n'],
  ['LF', { data: 'a\nb' }, 'data: a\ndata: b\n\n'],
  ['CR', { data: 'a\rb' }, 'data: a\ndata: b\n\n'],
  ['CRLF is one line end', { data: 'a\r\nb' }, 'data: a\ndata: b\n\n'],
  ['LFCR are two', { data: 'a\n\rb' }, 'data: a\ndata: \ndata: b\n\n'],
  ['a line end at the end', { data: 'a\n' }, 'data: a\ndata: \n\n'],
  ['a leading space', { data: ' a' }, 'data:  a\n\n'],
  ['event', { event: 'sample', data: 'x' }, 'event: sample\ndata: x\n\n'],
  ['id', { id: '7', data: 'x' }, 'id: 7\ndata: x\n\n'],
  ['empty id, which clears the last one', { id: '', data: 'x' }, 'id: \ndata: x\n\n'],
  ['comment', { comment: 'hi' }, ': hi\n\n'],
  ['empty comment', { comment: '' }, ':\n\n'],
  ['comment of several lines', { comment: 'a\r\nb\r\rc' }, ': a\n: b\n:\n: c\n\n'],
  ['retry', { retry: 0 }, 'retry: 0\n\n'],
  ['everything, in order', { data: 'd', event: 'e', id: 'i', retry: 1, comment: 'c' }, ': c\nretry: 1\nid: i\nevent: e\ndata: d\n\n'],
  ['what is undefined is left out', { event: undefined, id: undefined, data: 'x', comment: undefined, retry: undefined }, 'data: x\n\n']
]

t.test('exact bytes', async (t) => {
  for (const [name, fields, text] of cases) t.equal(encodeFrame(fields), text, name)
  t.equal(encodeRetry(1000), 'retry: 1000\n', 'retry alone has no blank line')
  t.equal(encodeData('a\nb'), 'data: a\ndata: b\n', 'data alone has no blank line')
})

const cyclic: Record<string, unknown> = {}
cyclic.self = cyclic

const refused: Array<[string, object, RegExp]> = [
  ['no field', {}, /at least one of event, id, data, comment and retry/],
  ['only undefined fields', { data: undefined, event: undefined }, /at least one/],
  ['an event that is no string', { event: 5 }, /event must be a string, got number/],
  ['an id that is no string', { id: null }, /id must be a string, got object/],
  ['a comment that is no string', { comment: 5 }, /comment must be a string, got number/],
  ['negative retry', { retry: -1 }, /retry must be a whole number of milliseconds from 0, got -1/],
  ['retry with a fraction', { retry: 1.5 }, /got 1\.5/],
  ['retry as text', { retry: '1' }, /got 1/],
  ['retry that is no number', { retry: NaN }, /got NaN/],
  ['endless retry', { retry: Infinity }, /got Infinity/],
  ['retry that would be written with an exponent', { retry: 1e21 }, /got 1e\+21/],
  ['a function as data', { data: () => {} }, /it is function/],
  ['a symbol as data', { data: Symbol('x') }, /it is symbol/],
  ['a bigint as data', { data: 1n }, /cannot be written as JSON/],
  ['data that holds itself', { data: cyclic }, /circular/],
  ['data that writes itself as nothing', { data: { toJSON: () => undefined } }, /it is object/],
  ['data that throws what is no error', { data: { toJSON () { throw null } } }, /cannot be written as JSON: null/] // eslint-disable-line no-throw-literal
]

t.test('what cannot be written is refused', async (t) => {
  for (const [name, fields, message] of refused) {
    t.throws(() => encodeFrame(fields as FrameFields), { code: 'FST_ERR_TETHER_FRAME', message }, name)
  }
})

/** Text in which everything that could mean something to a parser is frequent. */
const text = fc.array(fc.oneof(
  fc.constantFrom('\r', '\n', '\r\n', '\0', ':', ' ', 'data: ', 'id: 1\n', '\n\nevent: x', '\u2028', '\u0085', '\uFEFF', 'é', '😀', '\ud83d', '\ude00'),
  fc.string({ unit: 'binary', maxLength: 3 })
), { maxLength: 6 }).map((parts) => parts.join(''))

const line = text.map((value) => value.replace(/[\r\n\0]/g, ''))

/** What a header brings back as it went out. */
// eslint-disable-next-line no-control-regex
const id = line.map((value) => value.replace(/[\x00-\x1f\x7f]|\p{Surrogate}/gu, '').replace(/^ +| +$/g, ''))

const fields = fc.record({
  event: line,
  id,
  data: fc.oneof(text, fc.jsonValue({ maxDepth: 2 })),
  comment: text,
  retry: fc.nat()
}, { requiredKeys: [] }).filter((fields) => Object.keys(fields).length > 0)

const lineEnds = /\r\n|\r|\n/g

// Half a surrogate pair is no text; in UTF-8 it becomes the character that stands for what is none.
function overTheWire (text: string): string {
  return Buffer.from(text).toString()
}

function toldBy (parts: Uint8Array[]): { events: object[], comments: string[], retries: number[] } {
  const told = { events: [] as object[], comments: [] as string[], retries: [] as number[] }
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const parser = createParser({
    onEvent: (event) => told.events.push(event),
    onComment: (comment) => told.comments.push(comment),
    onRetry: (retry) => told.retries.push(retry),
    onError: (error) => { throw error }
  })
  for (const part of parts) parser.feed(decoder.decode(part, { stream: true }))
  return told
}

t.test('a parser gets back what went in, wherever the bytes are cut', async (t) => {
  fc.assert(fc.property(fields, (fields) => {
    const bytes = Buffer.from(encodeFrame(fields))
    const expected = {
      events: fields.data === undefined
        ? []
        : [{
            id: fields.id === undefined ? undefined : overTheWire(fields.id),
            event: fields.event === undefined || fields.event === '' ? undefined : overTheWire(fields.event),
            data: typeof fields.data === 'string' ? overTheWire(fields.data.replace(lineEnds, '\n')) : JSON.stringify(fields.data)
          }],
      comments: fields.comment === undefined ? [] : overTheWire(fields.comment.replace(lineEnds, '\n')).split('\n'),
      retries: fields.retry === undefined ? [] : [fields.retry]
    }
    for (let cut = 0; cut <= bytes.length; cut++) {
      deepStrictEqual(toldBy([bytes.subarray(0, cut), bytes.subarray(cut)]), expected)
    }
  }), { numRuns: 200 })
  t.pass('for any fields')
})

t.test('no field of a frame leads to another frame', async (t) => {
  fc.assert(fc.property(fields, fields, (first, second) => {
    const told = toldBy([Buffer.from(encodeFrame(first) + encodeFrame(second))])
    const expected = [first, second].filter(({ data }) => data !== undefined).length
    return told.events.length === expected
  }))
  t.pass('for any two')
})

t.test('CR, LF and NUL are refused anywhere in event and id', async (t) => {
  fc.assert(fc.property(line, fc.constantFrom('\r', '\n', '\0', '\r\n'), line, fc.constantFrom('event', 'id'), (before, bad, after, field) => {
    try {
      encodeFrame({ [field]: before + bad + after, data: 'x' })
      return false
    } catch (error) {
      return (error as { code: string }).code === 'FST_ERR_TETHER_FRAME' && (error as Error).message === `${field} must not contain CR, LF or NUL`
    }
  }))
  t.pass('for any text around them')
})

t.test('a frame knows its length in UTF-8', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => new Frame(text).bytes === Buffer.from(text).length))
  t.equal(new Frame('\ud800').bytes, Buffer.from('\ud800').length, 'half a surrogate pair too')
  t.match(new Frame('x'), { key: null, holders: 0 })
  t.equal(new Frame('x', 'k').key, 'k')
})
