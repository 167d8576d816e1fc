import t from 'tap'
import { createListeners } from '../../client/listeners.ts'

t.test('calls in order, with what is there when the call begins and has not stopped since', async (t) => {
  const errors: unknown[] = []
  const [on, call] = createListeners((error) => errors.push(error))
  const seen: string[] = []
  on('a', (value) => {
    seen.push(`first ${value}`)
    stop()
    on('a', (next) => seen.push(`late ${next}`))
  })
  const stop = on('a', () => seen.push('stopped'))
  on('a', () => { throw new Error('fault') })
  on('a', (value, other) => seen.push(`last ${value} ${other}`))
  call('a', 1, 2)
  t.strictSame(seen, ['first 1', 'last 1 2'])
  t.match(errors, [{ message: 'fault' }])
  call('nothing listens')
  call('constructor')
})

t.test('a function that listens twice is called twice, and each can be stopped', async (t) => {
  const [on, call] = createListeners(() => {})
  let count = 0
  const listener = () => { count++ }
  const stop = on('a', listener)
  on('a', listener)
  call('a')
  t.equal(count, 2)
  stop()
  stop()
  call('a')
  t.equal(count, 3)
})
