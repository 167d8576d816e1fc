import type { Plan } from './plan.ts'

/** Runs that failed once, each as short as it still failed. */
const runs: ReadonlyArray<{ readonly was: string, readonly settings: Omit<Plan, 'faults'>, readonly faults: Plan['faults'] }> = [
  {
    was: 'An entry that a failover lost came late to a session from a node that had not read it.',
    settings: { seed: 193, theme: 'any', stormMs: 1234, nodes: 3, pages: 2, persist: 'event', survives: true, freezeMs: 0, reconnectMs: 600000, isTight: false, logMs: 60000, leaseMs: 600, isolatedMs: 0, broadcastEveryMs: 41, actEveryMs: 101, detours: 0.1, mayGap: true },
    faults: [
      { is: 'rough', at: 694, ms: 762, lost: 0.033721842267550525, slowMs: 80 },
      { is: 'freeze', at: 774, node: 86, ms: 1571 },
      { is: 'drop', at: 1021, page: 56, nodeKnowsMs: 351 },
      { is: 'failOver', at: 1115, lost: 3, spreadMs: 0 }
    ]
  },
  {
    was: 'An entry that its node wrote again, when the log had forgotten the first one, came twice to a session that had moved.',
    settings: { seed: 642, theme: 'outage', stormMs: 2615, nodes: 4, pages: 4, persist: 'detach', survives: false, freezeMs: 57, reconnectMs: 600000, isTight: false, logMs: 833, leaseMs: 600, isolatedMs: 1200, broadcastEveryMs: 16, actEveryMs: 78, detours: 0.1, mayGap: true },
    faults: [
      { is: 'drop', at: 49, page: 81, nodeKnowsMs: 5 },
      { is: 'away', at: 359, ms: 1039, spreadMs: 1076 },
      { is: 'replace', at: 777, node: 21 }
    ]
  },
  {
    was: 'The same at a node that began to read between the two.',
    settings: { seed: 719, theme: 'any', stormMs: 1137, nodes: 2, pages: 2, persist: 'detach', survives: false, freezeMs: 289, reconnectMs: 600000, isTight: false, logMs: 886, leaseMs: 600, isolatedMs: 1200, broadcastEveryMs: 22, actEveryMs: 72, detours: 0, mayGap: true },
    faults: [
      { is: 'sleep', at: 415, page: 90, ms: 1482 },
      { is: 'rough', at: 421, ms: 333, lost: 0.08740426988806575, slowMs: 59 },
      { is: 'lag', at: 450, node: 25, ms: 592, lagMs: 239 },
      { is: 'crashAt', at: 488, node: 54, call: 'nodes', count: 4, isAnswer: false },
      { is: 'bye', at: 676, page: 78 },
      { is: 'drop', at: 736, page: 34, nodeKnowsMs: 17 },
      { is: 'rough', at: 772, ms: 354, lost: 0.10232788390712812, slowMs: 34 },
      { is: 'drop', at: 902, page: 22, nodeKnowsMs: 1615 },
      { is: 'push', at: 954, page: 83, count: 2 },
      { is: 'replace', at: 998, node: 9 }
    ]
  },
  {
    was: 'A node that read late sent a page what it had from a node that had crashed.',
    settings: { seed: 784, theme: 'lossy', stormMs: 1635, nodes: 3, pages: 2, persist: 'event', survives: true, freezeMs: 133, reconnectMs: 600000, isTight: true, logMs: 60000, leaseMs: 600, isolatedMs: 0, broadcastEveryMs: 37, actEveryMs: 104, detours: 0.1, mayGap: true },
    faults: [
      { is: 'strike', at: 250, page: 36, count: 10, ms: 3 },
      { is: 'bye', at: 384, page: 86 },
      { is: 'lag', at: 872, node: 71, ms: 485, lagMs: 567 },
      { is: 'bye', at: 904, page: 13 },
      { is: 'strike', at: 1014, page: 95, count: 10, ms: 2 },
      { is: 'strike', at: 1293, page: 63, count: 8, ms: 12 }
    ]
  },
  {
    was: 'Replies were lost that a session from a crashed node held when it moved once more.',
    settings: { seed: 615, theme: 'stall', stormMs: 2591, nodes: 2, pages: 2, persist: 'event', survives: true, freezeMs: 0, reconnectMs: 600000, isTight: true, logMs: 60000, leaseMs: 600, isolatedMs: 1200, broadcastEveryMs: 52, actEveryMs: 108, detours: 0.1, mayGap: true },
    faults: [
      { is: 'stallAt', at: 254, node: 53, call: 'renew', count: 1, isAnswer: true, ms: 360, awayMs: 388 },
      { is: 'drop', at: 700, page: 42, nodeKnowsMs: 13 },
      { is: 'drop', at: 858, page: 63, nodeKnowsMs: 627 },
      { is: 'replace', at: 1034, node: 64 }
    ]
  },
  {
    was: 'An event got 404 while its session went into the engine and back.',
    settings: { seed: 946, theme: 'overflow', stormMs: 1527, nodes: 3, pages: 4, persist: 'detach', survives: false, freezeMs: 50, reconnectMs: 8000, isTight: false, logMs: 60000, leaseMs: 600, isolatedMs: 0, broadcastEveryMs: 36, actEveryMs: 85, detours: 0.1, mayGap: true },
    faults: [
      { is: 'drop', at: 188, page: 56, nodeKnowsMs: 9 },
      { is: 'burst', at: 195, node: 22, count: 17 }
    ]
  },
  {
    was: 'A session was lost that left its node while that node wrote the record which the engine had lost.',
    settings: { seed: 1863, theme: 'outage', stormMs: 2012, nodes: 4, pages: 3, persist: 'move', survives: false, freezeMs: 205, reconnectMs: 600000, isTight: false, logMs: 60000, leaseMs: 600, isolatedMs: 1200, broadcastEveryMs: 28, actEveryMs: 71, detours: 0.1, mayGap: true },
    faults: [
      { is: 'drop', at: 41, page: 90, nodeKnowsMs: 5 },
      { is: 'drop', at: 201, page: 27, nodeKnowsMs: 16 },
      { is: 'empty', at: 226, spreadMs: 194 },
      { is: 'drop', at: 394, page: 2, nodeKnowsMs: 11 }
    ]
  },
  {
    was: 'A node was taken for dead that could not yet give a session to the engine: the session may be lost.',
    settings: { seed: 833, theme: 'outage', stormMs: 2700, nodes: 2, pages: 4, persist: 'move', survives: false, freezeMs: 0, reconnectMs: 600000, isTight: false, logMs: 60000, leaseMs: 600, isolatedMs: 0, broadcastEveryMs: 53, actEveryMs: 72, detours: 0.1, mayGap: true },
    faults: [
      { is: 'away', at: 132, ms: 859, spreadMs: 62 },
      { is: 'replace', at: 283, node: 57 },
      { is: 'replace', at: 463, node: 48 }
    ]
  },
  {
    was: 'A process that went on did not run its tasks in their order.',
    settings: { seed: 1077, theme: 'any', stormMs: 784, nodes: 3, pages: 3, persist: 'command', survives: true, freezeMs: 279, reconnectMs: 600000, isTight: false, logMs: 60000, leaseMs: 600, isolatedMs: 0, broadcastEveryMs: 52, actEveryMs: 86, detours: 0.1, mayGap: true },
    faults: [
      { is: 'pause', at: 498, node: 51, ms: 288 }
    ]
  }
]

export const keptPlans = runs.map(({ was, settings, faults }): { readonly was: string, readonly plan: Plan } => ({ was, plan: { ...settings, faults } }))
