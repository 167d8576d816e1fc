import t from 'tap'
import { didYouMean, nearest } from '../../../schemas/suggestion.ts'

const names = ['writeBuffer', 'heartbeatMs', 'retryMs', 'stallTimeoutMs', 'say', 'on']

t.test('the name that was meant', async (t) => {
  for (const [given, meant] of [
    ['writebuffer', 'writeBuffer'],
    ['write-buffer', 'writeBuffer'],
    ['write_buffer', 'writeBuffer'],
    ['wirteBuffer', 'writeBuffer'],
    ['writeBufer', 'writeBuffer'],
    ['buffer', 'writeBuffer'],
    ['heartbeat', 'heartbeatMs'],
    ['heartBeatInMs', 'heartbeatMs'],
    ['retry', 'retryMs'],
    ['stallTimeout', 'stallTimeoutMs'],
    ['syas', null],
    ['sya', 'say'],
    ['SAY', 'say'],
    ['no', null],
    ['ON', 'on'],
    ['zebra', null],
    ['', null],
    ['-', null],
    ['writeBuffer'.repeat(10), null]
  ] as const) t.equal(nearest(given, names), meant, given)
})

t.test('the nearest of several, the first of those that are equally near', async (t) => {
  t.equal(nearest('maxSession', ['maxSessionsPerOwner', 'maxSessions', 'maxSessionz']), 'maxSessions')
  t.equal(nearest('node', ['note', 'code']), 'note')
})

t.test('as the end of a message', async (t) => {
  t.equal(didYouMean('sayy', ['say']), '. Did you mean "say"?')
  t.equal(didYouMean('zebra', ['say']), '')
  t.equal(didYouMean('zebra', []), '')
})
