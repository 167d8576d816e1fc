import t from 'tap'
import { isSyncCallback } from '../../../plugin/commands/sync-callback.ts'

/** From source text, since what transpiles this file may write functions another way. */
function read (text: string): unknown {
  // eslint-disable-next-line no-new-func
  return new Function(`return ${text}`)()
}

const surely = [
  '(session, data) => { session.state = data }',
  '(session,data)=>{session.state=data}',
  'session => { session.state = 1 }',
  '(session, data, { live }) => { live.broadcast("a", data) }',
  '(session, data, { live: all }) => {\n  all.broadcast("a", data)\n}',
  '() => {}',
  'function () {}',
  'function (session) { session.state = 1 }',
  'function named (session) { session.state = 1 }',
  'function async (session) { session.state = 1 }',
  '({ plain (session) { session.state = 1 } }).plain',
  '({ async (session) { session.state = 1 } }).async',
  '({ \'range.set\' (session) { session.state = 1 } })[\'range.set\']',
  '({ "range.set" (session) { session.state = 1 } })["range.set"]',
  '(session) => { throw new Error("no") }'
]

const perhaps = [
  'async (session) => { session.state = 1 }',
  'async session => { session.state = 1 }',
  'async () => {}',
  'async function () {}',
  'async function named () {}',
  '({ async plain () {} }).plain',
  '({ async *plain () {} }).plain',
  '({ *plain () {} }).plain',
  '({ get plain () { return () => { return 1 } } }).plain',
  'function * () {}',
  'function* named () {}',
  '(session) => session.send("a", 1)',
  '(session) => session.a ?? {}',
  '(session) => (session.a, {})',
  'session => session.a ?? {}',
  '(session) => { return session.send("a", 1) }',
  '(session) => { if (session.a) return session.b\n session.c = 1 }',
  '(session) => async () => {}',
  '(session) => () => {}',
  '(session) => function () {}',
  '(session, data = () => {}) => data()',
  '(session, { live } = {}) => {}',
  '(session /* ) => { */) => session.a',
  '(session = ") => {") => session.a',
  '(() => {}).bind(null)',
  '(function () { return 1 }).bind(null)',
  'new Proxy(() => {}, {})',
  'new Proxy(async () => {}, {})',
  'Array.prototype.push',
  'class {}',
  'Object.setPrototypeOf(async () => {}, Function.prototype)',
  '1',
  'null',
  'undefined',
  '{}'
]

t.test('says so only of what surely gives nothing back', async (t) => {
  for (const text of surely) t.equal(isSyncCallback(read(text)), true, text)
  for (const text of perhaps) t.equal(isSyncCallback(read(text)), false, text)
})

t.test('the text is the function\'s own, whatever its toString says', async (t) => {
  const later = Object.assign(() => Promise.resolve(), { toString: () => '() => {}' })
  t.equal(isSyncCallback(later), false)
})
