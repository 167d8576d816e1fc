import { Type } from '@sinclair/typebox'
import t from 'tap'
import { CompiledContract } from '../../../plugin/contract/compiled-contract.ts'
import { defineContract, text } from '../../../schemas/contract.ts'

const contract = defineContract({ events: { pause: Type.Object({}) }, updates: { notice: Type.String(), row: text() } })

t.test('is compiled once', async (t) => {
  const compiled = CompiledContract.of(contract)
  t.equal(CompiledContract.of(contract), compiled)
  t.equal(compiled.event('pause'), compiled.event('pause'))
  t.same(compiled.eventNames, ['pause'])
})

t.test('knows its own names and no others', async (t) => {
  const compiled = CompiledContract.of(contract)
  t.equal(compiled.encode('notice', 'hi').text, 'event: notice\ndata: "hi"\n\n')
  t.equal(compiled.encode('row', 'hi').text, 'event: row\ndata: hi\n\n')
  for (const name of ['pause', 'Notice', '', 'constructor', '__proto__', 'toString']) {
    t.throws(() => compiled.encode(name, {}), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE', message: `the contract has no update "${name}"` })
  }
  for (const name of ['notice', 'constructor', '__proto__']) t.equal(compiled.event(name), undefined)
})

t.test('a schema that cannot be compiled is named', async (t) => {
  t.throws(() => CompiledContract.of(defineContract({ events: { when: Type.Date() } })), { code: 'FST_ERR_TETHER_CONTRACT', message: /event "when"/ })
  t.throws(() => CompiledContract.of(defineContract({ updates: { when: Type.Date() } })), { code: 'FST_ERR_TETHER_CONTRACT', message: /update "when"/ })
})

t.test('a contract put together by hand is checked as well', async (t) => {
  t.throws(() => CompiledContract.of({ events: {}, updates: { error: Type.String() } }), { code: 'FST_ERR_TETHER_CONTRACT', message: /"error"/ })
})

t.test('an unknown update is told what was meant', async (t) => {
  const compiled = CompiledContract.of(defineContract({ events: { pause: Type.Object({}) }, updates: { sample: text(), notice: text() } }))
  for (const [name, advice] of [
    ['smaple', '. Did you mean "sample"?'],
    ['Notice', '. Did you mean "notice"?'],
    ['pause', '. "pause" is an event, which comes from the page'],
    ['zebra', '']
  ] as const) {
    t.throws(() => compiled.encode(name, ''), { code: 'FST_ERR_TETHER_UNKNOWN_UPDATE', message: new RegExp(`^the contract has no update "${name}"${advice.replace(/[.?]/g, '\\$&')}$`) })
  }
})
