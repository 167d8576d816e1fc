import { AssertionError } from 'node:assert'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { engineContract, transportContract, type EngineUnderTest, type Tab, type TransportUnderTest } from '../../../plugin/entries/contract-tests.ts'
import { equal, match, not, ok, same } from '../../../plugin/entries/contract-tests/checks.ts'

t.test('what the assertions take, and what they do not', async (t) => {
  const right: Array<() => void> = [
    () => equal(1, 1),
    () => not({}, {}),
    () => same({ a: [1] }, { a: [1] }),
    () => ok('x'),
    () => match('hello', /^h/),
    () => match({ a: 1, b: { c: 'see', d: null } }, { b: { c: /^s/, d: null } }),
    () => match([1, { a: 2, b: 3 }], [1, { a: 2 }]),
    () => match({ get a () { return true } }, { a: true })
  ]
  const wrong: Array<() => void> = [
    () => equal(1, '1'),
    () => equal({}, {}),
    () => not(1, 1),
    () => same({ a: [1] }, { a: [1, 2] }),
    () => same({ a: 1 }, { a: 1, b: undefined }),
    () => ok(0),
    () => match('hello', /^b/),
    () => match(5, /5/),
    () => match('resumed', 'resume'),
    () => match({ a: 1 }, { a: 1, b: 2 }),
    () => match([1, 2], [1]),
    () => match([1], [1, 2]),
    () => match({ 0: 1, length: 1 }, [1]),
    () => match(undefined, { a: 1 }),
    () => match(null, {}),
    () => match({ a: undefined }, { a: null })
  ]
  for (const assertion of right) t.doesNotThrow(assertion, assertion.toString())
  for (const assertion of wrong) t.throws(assertion, AssertionError, assertion.toString())
  t.throws(() => match({ a: 1 }, { a: 2 }, 'the answer'), { message: /^the answer: /, actual: { a: 1 }, expected: { a: 2 } }, 'says what was asserted, and has both values')
})

t.test('a case that fails ends what it started, the last first, and says the first that went wrong', async (t) => {
  const ended: string[] = []
  const transport: TransportUnderTest = {
    name: 'broken',
    protocol: 'http/1.1',
    start: async (scope) => {
      scope.after(() => { ended.push('first') })
      scope.after(async () => {
        ended.push('second')
        throw new Error('not this one')
      })
      return { app: {} as FastifyInstance, origin: 'http://127.0.0.1:1' }
    },
    begin: () => { throw new Error('nor this one') }
  }
  const [first] = transportContract(transport)
  t.equal(first?.name, 'broken: a session opens, and tells what it travels by')
  await t.rejects(first!.run(), { message: 'start() of "broken" must call needs.mount(app, …)' })
  t.same(ended, ['second', 'first'])
  await t.rejects(first!.run(), { message: /must call needs\.mount/ }, 'again, from the start')
  t.same(ended, ['second', 'first', 'second', 'first'])
})

t.test('no two cases have one name', async (t) => {
  const names = transportContract({ name: 'a', protocol: 'http/1.1', start: async () => { throw new Error() }, begin: () => ({}) as Tab }).map(({ name }) => name)
  t.equal(new Set(names).size, names.length)
  t.equal(names.length, 28)
})

t.test('an engine gets the cases of what it can do and bear', async (t) => {
  const engine: EngineUnderTest = {
    name: 'e',
    can: { durable: false, due: false, journal: false },
    faults: [],
    deadlineMs: 100,
    queue: { count: 10, bytes: 2_000_000 },
    start: async () => { throw new Error('not started') }
  }
  const names = (more: Partial<EngineUnderTest>) => engineContract({ ...engine, ...more }).map(({ name }) => name)
  const least = names({})
  t.equal(least.length, 19)
  t.equal(names({ can: { durable: true, due: true, journal: true } }).length, 23)
  const all = names({ can: { durable: false, due: true, journal: true }, faults: ['cut', 'freeze', 'empty', 'restart'] })
  t.equal(all.length, 35)
  t.equal(new Set(all).size, all.length)
  t.ok(all.every((name) => name.startsWith('e: ')))
  await t.rejects(engineContract(engine)[0]!.run(), { message: 'not started' })
})
