// The client's tests once more, without what React Native lacks.
import './react-native-globals.ts'
import t from 'tap'
import { connectLive } from './harness.ts'

t.test('this platform lacks what React Native lacks, and the client asks for an event stream', async (t) => {
  t.notOk('TextDecoderStream' in globalThis)
  t.notOk('timeout' in AbortSignal)
  t.notOk('any' in AbortSignal)
  const { became, sent } = await connectLive(t)
  await became('open')
  t.equal(sent[0]!.headers.accept, 'text/event-stream')
})

for (const file of ['connection', 'sse-link', 'setup', 'open']) await import(`./${file}.test.ts`)
