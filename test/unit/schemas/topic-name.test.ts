import fc from 'fast-check'
import t from 'tap'
import { topicName as clientsName } from '../../../client/topic-name.ts'
import { topicName } from '../../../schemas/topic-name.ts'

const scalar = fc.oneof(fc.string({ unit: 'binary' }), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.boolean())
const params = fc.dictionary(fc.string({ unit: 'binary', minLength: 1 }), scalar, { noNullPrototype: true })

/** Reads a name, as a URL's query. */
function read (name: string): [string, Array<[string, string]>] {
  const [topic = '', query = ''] = name.split('?')
  return [topic, query === '' ? [] : query.split('&').map((pair) => pair.split('=').map(decodeURIComponent) as [string, string])]
}

t.test('the name of a topic', async (t) => {
  t.equal(topicName('host', {}), 'host')
  t.equal(topicName('host', { id: 'a' }), 'host?id=a')
  t.equal(topicName('host', { b: 1, a: true, c: undefined, B: 'x' }), 'host?B=x&a=true&b=1')
  t.equal(topicName('host', { 'ä&': '?=%@ \n' }), 'host?%C3%A4%26=%3F%3D%25%40%20%0A')
  t.equal(topicName('host', { n: -0 }), 'host?n=0')
  t.equal(topicName('host', { n: 1e21 }), 'host?n=1e%2B21')
  t.throws(() => topicName('host', { id: '\ud800' }), URIError)
  // By code units, U+FF5E comes behind the surrogates of U+1F600; by code points before.
  t.equal(topicName('host', { '\uff5e': 1, '\u{1f600}': 2 }), `host?${encodeURIComponent('\u{1f600}')}=2&${encodeURIComponent('\uff5e')}=1`)
})

t.test('names do not depend on the order of keys, survive JSON, and can be read back', async (t) => {
  fc.assert(fc.property(params, (given) => {
    const name = topicName('host', given)
    const reversed = Object.fromEntries(Object.entries(given).reverse())
    if (topicName('host', reversed) !== name) throw new Error('another order, another name')
    if (topicName('host', JSON.parse(JSON.stringify(given))) !== name) throw new Error('another name after JSON')
    if (clientsName('host', given) !== name) throw new Error(`the client gives ${clientsName('host', given)}`)
    const [topic, pairs] = read(name)
    const expected = Object.keys(given).sort().map((key) => [key, String(given[key])])
    if (topic !== 'host' || JSON.stringify(pairs) !== JSON.stringify(expected)) throw new Error(`${name} reads as ${JSON.stringify(pairs)}`)
    if (!/^[A-Za-z0-9._~!*'()%?&=-]+$/.test(name)) throw new Error(`${name} has another character`)
  }), { numRuns: 300 })
})
