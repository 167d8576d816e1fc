import t from 'tap'
import { effort } from '../harness/effort.ts'
import { runNodes } from './nodes/run-nodes.ts'

// With nothing left to do, Node 20 may still wait for ever for a write to a connection that broke.
process.once('beforeExit', () => process.exit())

t.test('a short run over three nodes, all replaced and one killed: what the log says is what every page saw', async (t) => {
  const seed = 20_261_129
  const report = await runNodes({ seed, engine: 'local', nodes: 3, pages: 8, broadcasts: 1_200, events: 300, replacements: 3, kills: effort === 1 ? 1 : 3, cuts: 12, sendingMs: 2_500 * effort, tell: (line) => t.comment(line) })
  const { faults, ...figures } = report
  t.same(faults, [], `seed ${seed}; to repeat it: npm test -- test/chaos/nodes.test.ts`)
  t.comment(JSON.stringify(figures))

  // That it was a bad time indeed, and that the pages noticed.
  t.match(figures, { replaced: 3, killed: effort === 1 ? 1 : 3, nodesUsed: 6 + figures.killed })
  t.ok(figures.broadcasts >= 800, `${figures.broadcasts} broadcasts`)
  t.ok(figures.updatesSeen >= 3 * figures.broadcasts, `${figures.updatesSeen} updates`)
  t.ok(figures.eventsRun >= 200, `${figures.eventsRun} events`)
  for (const [how, count] of Object.entries(figures.streams)) t.ok(count >= 2, `${count} streams over ${how}`)
  t.ok(figures.resumed >= 3, `${figures.resumed} times a page came back and resumed`)
  t.ok(figures.resumed + figures.gaps >= 6, `${figures.gaps} times it was told a gap`)
  t.ok(figures.moved + figures.frozen >= 6, `${figures.moved} sessions came from the memory of another node, ${figures.frozen} out of the engine`)
})
