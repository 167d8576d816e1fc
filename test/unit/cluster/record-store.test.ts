import t from 'tap'
import type { Engine } from '../../../plugin/cluster/engine.ts'
import { RecordStore } from '../../../plugin/cluster/record-store.ts'
import { packRecord, type SessionRecord } from '../../../plugin/cluster/session-record.ts'
import { EngineError, EngineFullError } from '../../../schemas/errors.ts'
import { VirtualClock } from './virtual-clock.ts'

const live = (owner: string, epoch = 1): SessionRecord => ({ status: 'live', url: '/live', epoch, owner })

type Fault = 'lost' | 'unanswered' | 'full' | null

/** An engine with one record. Each call takes the next fault: `lost` before it, or `unanswered` behind it. */
function engineWith (faults: Fault[]): Pick<Engine, 'get' | 'put'> & { value: Buffer | null, revision: string, puts: number } {
  const answer = <Result>(run: () => Result): Result => {
    const fault = faults.shift() ?? null
    if (fault === 'full') throw new EngineFullError('no room')
    if (fault === 'lost') throw new EngineError('does not answer')
    const result = run()
    if (fault === 'unanswered') throw new EngineError('does not answer')
    return result
  }
  return {
    value: null,
    revision: '0',
    puts: 0,
    async get () {
      return answer(() => this.value === null ? null : { revision: this.revision, value: this.value })
    },
    async put (_key, value, ifRevision) {
      this.puts++
      return answer(() => {
        if ((this.value === null ? null : this.revision) !== ifRevision) return null
        this.value = Buffer.from(value)
        this.revision = String(Number(this.revision) + 1)
        return this.revision
      })
    }
  }
}

async function settle<Result> (clock: VirtualClock, promise: Promise<Result>): Promise<Result> {
  const state = { isSettled: false }
  const settle = () => { state.isSettled = true }
  promise.then(settle, settle)
  for (let time = 0; time < 50 && !state.isSettled; time++) await clock.pass(100)
  return await promise
}

t.test('a write whose answer is lost is settled by reading the record', async (t) => {
  for (const faults of [[], ['unanswered'], ['lost'], ['unanswered', null, 'lost'], ['lost', 'lost', 'unanswered', null, 'unanswered'], ['unanswered', 'unanswered', 'unanswered']] as Fault[][]) {
    const clock = new VirtualClock()
    const name = faults.join()
    const engine = engineWith([...faults])
    const store = new RecordStore({ engine, clock, retryMs: 10 })
    t.equal(await settle(clock, store.write('a', live('one'), null, 1_000)), '1', `won: ${name}`)
    t.strictSame(await settle(clock, store.read('a')), { revision: '1', record: live('one') })
  }
})

t.test('a write that another overtakes loses, whatever answers are lost', async (t) => {
  for (const faults of [[], ['lost'], ['lost', null, 'lost'], ['lost', 'lost', null, 'unanswered']] as Fault[][]) {
    const clock = new VirtualClock()
    const engine = engineWith([...faults])
    const store = new RecordStore({ engine, clock, retryMs: 10 })
    engine.value = packRecord(live('two'))
    engine.revision = '5'
    t.equal(await settle(clock, store.write('a', live('one'), '4', 1_000)), null, faults.join())
    t.equal(engine.revision, '5')
  }
})

t.test('a write goes on only while it may', async (t) => {
  const clock = new VirtualClock()
  const engine = engineWith(Array.from({ length: 100 }, () => 'lost' as const))
  const store = new RecordStore({ engine, clock, retryMs: 10 })
  const until = clock.now() + 95
  await t.rejects(settle(clock, store.write('a', live('one'), null, 1_000, () => clock.now() < until)), { code: 'FST_ERR_TETHER_ENGINE' })
  t.equal(engine.puts, 11)
  const going = store.write('a', live('one'), null, 1_000)
  await clock.pass(5)
  store.close()
  await t.rejects(settle(clock, going), { code: 'FST_ERR_TETHER_ENGINE' })
})

t.test('a write that surely did not happen rejects at once, and one in doubt goes on', async (t) => {
  const clock = new VirtualClock()
  await t.rejects(new RecordStore({ engine: engineWith(['full']), clock, retryMs: 10 }).write('a', live('one'), null, 1_000), { code: 'FST_ERR_TETHER_ENGINE_FULL' })
  const engine = engineWith(['unanswered', 'full'])
  t.equal(await settle(clock, new RecordStore({ engine, clock, retryMs: 10 }).write('a', live('one'), null, 1_000)), '1')
})

t.test('a record that this version cannot read is none to guess about', async (t) => {
  const engine = engineWith([])
  engine.value = Buffer.from('[9,"somewhere"]\n')
  await t.rejects(new RecordStore({ engine, clock: new VirtualClock(), retryMs: 10 }).read('a'), { code: 'FST_ERR_TETHER_ENGINE' })
})
