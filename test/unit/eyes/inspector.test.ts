import fc from 'fast-check'
import t from 'tap'
import { Journal } from '../../../plugin/eyes/inspector/journal.ts'
import { firstIn, placesOf } from '../../../plugin/eyes/inspector/session-table.ts'

t.test('the first of all are those that a sort gives, equal ones in their order', async () => {
  const value = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom('a', 'b', 'a1', ''), fc.constant(null))
  fc.assert(fc.property(fc.array(value, { maxLength: 40 }), fc.boolean(), fc.nat(45), (mixed, descending, count) => {
    // A column has values of one kind.
    const values = mixed.filter((found) => found === null || typeof found === typeof mixed.find((other) => other !== null))
    const sorted = values.map((found, index) => ({ found, index })).sort((left, right) => {
      if (left.found === right.found) return left.index - right.index
      if (left.found === null || right.found === null) return left.found === null ? 1 : -1
      return (left.found < right.found) === descending ? 1 : -1
    })
    const expected = sorted.slice(0, count).map(({ index }) => index)
    const found = firstIn(placesOf(values, descending), count)
    return JSON.stringify(found) === JSON.stringify(expected)
  }), { numRuns: 500 })
})

const command = (session: string, name: string) => ({ session, url: '/live', command: name, kind: 'event' as const, seq: null, waitedMs: null, ms: 1, outcome: 'ok' as const })

t.test('the journal has bounds: of sessions, of commands and of verdicts', async (t) => {
  const journal = new Journal(3, 2)
  for (const session of ['a', 'b', 'c']) for (const name of ['one', 'two', 'three']) journal.commandEnded(command(session, name))
  t.strictSame(journal.read('/live', 'b').commands.map(({ name }) => name), ['three', 'two'], 'the newest first')
  t.strictSame(journal.read('/other', 'b').commands, [], 'of one URL')
  journal.read('/live', 'a')
  journal.commandEnded(command('d', 'one'))
  t.equal(journal.size, 3)
  t.strictSame(journal.read('/live', 'c').commands, [], 'the one that was quiet for longest, and that nobody looked at')
  t.equal(journal.read('/live', 'a').commands.length, 2)
  for (let count = 0; count < 50; count++) journal.streamOpened({ session: 'a', url: '/live', protocol: 'http/1.1', verdict: `${count}` })
  journal.streamOpened({ session: null, url: '/plain', protocol: 'http/1.1', verdict: null })
  const { streams } = journal.read('/live', 'a')
  t.strictSame([streams.length, streams[0]!.verdict], [8, '49'])
  journal.sessionClosed({ session: 'a', url: '/live' })
  t.equal(journal.size, 2)
  journal.clear()
  t.equal(journal.size, 0)
  const none = new Journal(3, 0)
  none.commandEnded(command('a', 'one'))
  t.equal(none.size, 0)
})
