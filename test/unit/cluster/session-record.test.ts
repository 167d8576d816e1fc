import t from 'tap'
import { packRecord, unpackRecord, type SessionRecord } from '../../../plugin/cluster/session-record.ts'

const held = { url: '/live', epoch: 3 }
const records: SessionRecord[] = [
  { ...held, status: 'live', owner: 'host-1-abc_D' },
  { ...held, status: 'moving', owner: 'b', snapshot: Buffer.from('{"a":"\n"}\n\0'), endsAt: 1_700_000_000_000 },
  { ...held, status: 'frozen', snapshot: Buffer.from([0, 10, 255]), endsAt: null, by: null },
  { ...held, status: 'frozen', snapshot: Buffer.from([1]), endsAt: 5, by: 'host-1-abc_D' },
  { ...held, status: 'live', owner: 'host-1-abc_D', backup: Buffer.from([0, 10, 255]), endsAt: 5 },
  { ...held, status: 'live', owner: 'host-1-abc_D', backup: Buffer.from([1]), endsAt: null },
  { ...held, status: 'claim', sealed: Buffer.from([1, 2]) },
  { ...held, status: 'ended', isForGood: true },
  { ...held, url: '/"ä\n', status: 'ended', isForGood: false }
]

t.test('a record is read as it was written', async (t) => {
  for (const record of records) t.strictSame(unpackRecord(packRecord(record)), record, record.status)
})

t.test('what is no record, or is of a later format, is refused', async (t) => {
  const line = (...parts: unknown[]) => Buffer.from(`${JSON.stringify(parts)}\nsnapshot`)
  t.not(unpackRecord(line(1, 'frozen', '/live', 1, null, false, null, null, 'of a later version')), null)
  t.match(unpackRecord(line(1, 'frozen', '/live', 1, null, false)), { endsAt: null, by: null }, 'of an earlier version')
  const refused: Array<[what: string, bytes: Buffer]> = [
    ['nothing', Buffer.alloc(0)],
    ['no line', Buffer.from('[1,"live","/live",1,"a",false]')],
    ['no JSON', Buffer.from('no\n')],
    ['no list', Buffer.from('{}\n')],
    ['a later format', line(2, 'frozen', '/live', 1, null, false)],
    ['another status', line(1, 'gone', '/live', 1, 'a', false)],
    ['no URL', line(1, 'frozen', null, 1, null, false)],
    ['no epoch', line(1, 'frozen', '/live', 0, null, false)],
    ['a bad owner', line(1, 'live', '/live', 1, 'a b', false)],
    ['no owner', line(1, 'moving', '/live', 1, null, false)],
    ['no snapshot', Buffer.from('[1,"frozen","/live",1,null,false]\n')],
    ['no end', line(1, 'ended', '/live', 1, null, 'yes')]
  ]
  for (const [what, bytes] of refused) t.equal(unpackRecord(bytes), null, what)
})
