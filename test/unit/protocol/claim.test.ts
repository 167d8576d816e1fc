import fc from 'fast-check'
import t from 'tap'
import { type Claim, parseLastEventId, readClaim } from '../../../plugin/protocol/claim.ts'
import { createSessionId } from '../../../plugin/sessions/session-id.ts'

const id = 'AbCdEfGhIjKlMnOpQrStUv-_'
const other = '000000000000000000000000'
const nothing: Claim = { id: null, seq: 0, counted: false, taken: false, malformed: false, prepared: false }

t.test('reads the last event id', async (t) => {
  t.same(parseLastEventId(`${id}.0`), { id, seq: 0 })
  t.same(parseLastEventId(`${id}.999999999999999`), { id, seq: 999_999_999_999_999 })
  t.same(parseLastEventId(`${id}.taken`), { id, seq: null })
  for (const bad of [
    '', '.', id, `${id}.`, `.${id}`, '5', `${id}.-1`, `${id}.+1`, `${id}.01`, `${id}.1.5`, `${id}.1e3`, `${id}.0x1`, `${id}. 1`, `${id}.1 `, `${id}.1\n`,
    `\n${id}.1`, `${id}.1000000000000000`, `${id}.NaN`, `${id}.Taken`, `${id}.taken1`, `${id.slice(1)}.1`, `${id}x.1`, `${id.slice(1)}é.1`, `${id.slice(1)}/.1`, `${id}.1,${id}.2`
  ]) t.equal(parseLastEventId(bad), null, JSON.stringify(bad))
})

t.test('reads every id that is made, with every number', async (t) => {
  fc.assert(fc.property(fc.nat({ max: 999_999_999_999_999 }), (seq) => {
    const id = createSessionId()
    const parsed = parseLastEventId(`${id}.${seq}`)
    return parsed?.id === id && parsed.seq === seq
  }))
  t.pass('of up to 15 digits')
})

type Row = [name: string, header: string | null, lastEventId: string | null, query: string | null, claim: Partial<Claim>]

const rows: Row[] = [
  ['nothing', null, null, null, {}],
  ['a browser that comes back', null, `${id}.7`, null, { id, seq: 7 }],
  ['a browser that has seen no update', null, `${id}.0`, null, { id }],
  ['a browser whose stream was taken over', null, `${id}.taken`, null, { id, taken: true }],
  ['a browser with a bad id', null, 'x', null, { malformed: true }],
  ['a client that counts, for the first time', 'new', null, null, { counted: true }],
  ['a client that counts and comes back', id, `${id}.7`, null, { id, seq: 7, counted: true }],
  ['a header but no number', id, null, null, { id, counted: true }],
  ['a header of another session than the number', id, `${other}.7`, null, { counted: true, malformed: true }],
  ['a header "new" with a number', 'new', `${id}.7`, null, { counted: true, malformed: true }],
  ['a header with a bad number', id, `${id}.x`, null, { counted: true, malformed: true }],
  ['a counting client whose stream was taken over', id, `${id}.taken`, null, { id, counted: true, taken: true }],
  ['an empty header names what cannot be found', '', null, null, { id: '', counted: true }],
  ['a prepared session', null, null, id, { id, prepared: true }],
  ['a prepared session, by a client that counts', 'new', null, id, { id, counted: true, prepared: true }],
  ['the query counts for nothing beside a header', id, null, other, { id, counted: true }],
  ['the query counts for nothing beside a number', null, `${id}.7`, other, { id, seq: 7 }],
  ['the query counts for nothing beside a bad number', null, 'x', id, { malformed: true }]
]

t.test('what a GET claims', async (t) => {
  for (const [name, header, lastEventId, query, claim] of rows) t.strictSame(readClaim(header, lastEventId, query), { ...nothing, ...claim }, name)
})
