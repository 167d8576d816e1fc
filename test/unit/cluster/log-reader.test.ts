import t from 'tap'
import { packEntry } from '../../../plugin/cluster/log-entry.ts'
import { LogReader } from '../../../plugin/cluster/log-reader.ts'
import { Frame } from '../../../plugin/protocol/frame.ts'
import { VirtualClock } from './virtual-clock.ts'

function start () {
  const clock = new VirtualClock()
  const got: string[] = []
  const coming: string[] = []
  const reader = new LogReader({
    node: 'self',
    clock,
    limits: { logTailEntries: 100, logTailBytes: 1e6 },
    forgetMs: 70_000,
    awayMs: 60_000,
    joiningMs: 1_000,
    readBack: () => undefined,
    onComing: (node) => { coming.push(node) },
    onLeaving: () => {},
    onLoss: () => {},
    traced: (_broadcast, _from, deliver) => { deliver() }
  })
  reader.subscribe('/live', { deliver: ({ frame }) => { got.push(/data: (.*)/.exec(frame.text)![1]!) }, lost: (reason) => { if (reason !== 'joined') got.push(reason) } })
  reader.up(60_000)
  const entry = (at: string, node: string, counter: number) => {
    reader.entry(at, packEntry({ node, counter }, [{ url: '/live', group: null, except: null, frame: new Frame(`event: all\ndata: ${node}${counter}\n\n`) }]))
  }
  return { clock, reader, entry, got, coming }
}

t.test('what was in the log before a node began is not for its sessions, though a new connection reads it', async (t) => {
  const { clock, reader, entry, got, coming } = start()
  entry('05', 'other', 4)
  entry('06', 'other', 5)
  await clock.pass(2_000)
  // Of a node that was gone before, of one that is there, and of one that wrote nothing since.
  entry('01', 'gone', 1)
  entry('02', 'gone', 2)
  entry('03', 'other', 3)
  entry('04', 'quiet', 7)
  entry('05', 'other', 4)
  reader.up(60_000)
  await clock.pass(1)
  t.strictSame(got, ['other4', 'other5'])
  entry('07', 'quiet', 9)
  t.strictSame(got, ['other4', 'other5', 'missing', 'quiet9'], 'what follows is new, and its number is known')
  t.strictSame(coming, ['other', 'quiet'])
})

t.test('after a failover new entries may have earlier places', async (t) => {
  const { entry, got } = start()
  entry('05', 'other', 4)
  entry('04', 'other', 5)
  t.strictSame(got, ['other4', 'other5'])
})

t.test('all that comes from an engine that has forgotten is new', async (t) => {
  const { reader, entry, got } = start()
  entry('05', 'other', 4)
  reader.forgot()
  entry('01', 'new', 1)
  t.strictSame(got, ['other4', 'new1'])
})

t.test('a node that was away for longer than the log keeps tells it before what comes next, whoever that is from', async (t) => {
  const { clock, reader, entry, got } = start()
  entry('05', 'gone', 4)
  await clock.pass(60_000)
  // On a new connection, entries come before the engine is up. The other node is dead, and this one is new.
  entry('09', 'new', 1)
  reader.up(60_000)
  await clock.pass(1)
  t.strictSame(got, ['gone4', 'away', 'new1'])
})
