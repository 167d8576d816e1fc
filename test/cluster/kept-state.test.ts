// In a cluster, the state must be able to move. That shows at the first session, over real sockets.
import t from 'tap'
import { memory } from '../../plugin/entries/memory.ts'
import { startLive } from '../e2e/harness/live.ts'
import { openReader } from '../e2e/harness/reader.ts'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { startNode } from './harness/nodes.ts'

const state = () => ({ user: 'u1', cart: { items: new Map() } })

t.test('a state that JSON cannot keep answers the first request with its path', async (t) => {
  const node = await startNode(t, memory(), { live: { initialState: state as never } })
  for (let count = 0; count < 2; count++) {
    const reader = await openReader(node, '/live')
    t.equal(reader.status, 500)
    const answer = await fetch(`http://127.0.0.1:${node.port}/live`, { headers: { accept: 'text/event-stream' } })
    t.match(await answer.json(), { code: 'FST_ERR_TETHER_STATE', message: 'the state of a session cannot be kept as JSON: "/cart/items" is a Map: give serialize and deserialize' })
  }
  await t.rejects(node.live.prepare({ headers: {}, ip: '127.0.0.1', raw: {} } as never), { code: 'FST_ERR_TETHER_STATE' })
  t.equal(node.app.tether.stats().sessions, 0)
  t.equal([...node.live.sessions].length, 0)
})

t.test('with serialize, with persist: never, and without a cluster, any state will do', async (t) => {
  const kept = await startNode(t, memory(), { live: { initialState: state as never, serialize: ({ user }: never) => ({ user }) } as never })
  await kept.connect()
  const never = await startNode(t, memory(), { live: { initialState: state as never, persist: 'never' } })
  await never.connect()
  const alone = await startLive(t, { live: { initialState: state as never, persist: 'detach', freezeMs: 1_000, stateVersion: 2, onFreeze: () => {} } })
  await alone.connect()
  t.pass()
})

t.test('a state that JSON cannot keep any longer is told once in a while, not with every event', async (t) => {
  for (const persist of ['command', 'event'] as const) {
    const told: string[] = []
    const node = await startNode(t, memory(), {
      live: {
        persist,
        initialState: (() => ({ seen: 0 })) as never,
        on: {
          say: (session) => {
            const state = session.state as unknown as { seen: number, cart: Map<string, string> }
            state.seen++
            state.cart = new Map()
          }
        },
        onError: (_session, error, { command }) => { told.push(`${command}: ${(error as Error).message}`) }
      }
    })
    const { session } = await node.connect()
    for (let seq = 1; seq <= 200; seq++) t.match(await post(node, session.id, { event: 'say', data: { text: 'x' }, seq }), { status: 202 })
    await until(() => told.length > 0, 'the first is told')
    t.strictSame(told, ['serialize: the state of a session cannot be kept as JSON: "/cart" is a Map: give serialize and deserialize'], persist)
    t.equal(session.state && (session.state as unknown as { seen: number }).seen, 200)
  }
})

t.test('options of a move that are not allowed fail when they are given, by name', async (t) => {
  const faults: Array<[options: object, message: RegExp]> = [
    [{ persist: 'always' }, /option "persist" of app\.tether\.stateful\(\) must be "never", "move", "detach", "command" or "event"; default "move"; got 'always'/],
    [{ persist: true }, /option "persist".*got true/],
    [{ freezeMs: -1 }, /option "freezeMs".*0: never.*got -1/],
    [{ freezeMs: 1.5 }, /option "freezeMs"/],
    [{ stateVersion: 0 }, /option "stateVersion".*at least 1.*got 0/],
    [{ stateVersion: '2' }, /option "stateVersion"/],
    [{ serialize: {} }, /option "serialize".*a function/],
    [{ deserialize: 'json' }, /option "deserialize".*a function/],
    [{ onFreeze: 1 }, /option "onFreeze".*a function/],
    [{ onRestore: null }, /option "onRestore".*a function/],
    [{ onThaw: () => {} }, /no option "onThaw"/]
  ]
  for (const [options, message] of faults) {
    await t.rejects(startLive(t, { live: options as never }), { code: 'FST_ERR_TETHER_OPTION', message }, String(message))
  }
})
