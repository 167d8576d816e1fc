import { AnswerReader } from './answer-reader.ts'
import { helloFinder, type OpenLink } from './link.ts'
import { PostPool } from './post-pool.ts'
import { connect, headOf, type Target } from './target.ts'

/** Links over server-sent events: a connection for each stream, and shared ones for the events. */
export function sseLinks (target: Target): OpenLink {
  const pool = new PostPool(target)
  return ({ onHello, onText, onGone }, resumed) => {
    let session = ''
    let isOver = false
    const finish = (reason: string): void => {
      if (isOver) return
      isOver = true
      socket.destroy()
      onGone(reason)
    }
    const find = helloFinder((found) => {
      session = found
      onHello(found)
    })
    const reader = new AnswerReader({
      onHead: (status) => { if (status !== 200) finish(`status ${status}`) },
      onBody: (bytes) => {
        if (isOver) return
        find(bytes)
        onText(bytes)
      },
      onEnd: () => finish('ended by the server'),
      onFault: finish
    })
    const socket = connect(target, () => {
      const id = resumed === null ? { 'x-tether-session': 'new' } : { 'x-tether-session': resumed, 'last-event-id': `${resumed}.0` }
      socket.write(`${headOf('GET', target, { accept: 'text/event-stream', ...id })}\r\n`)
    })
    socket.on('data', (bytes) => reader.read(bytes))
    socket.on('error', (error) => finish(error.message))
    socket.on('close', () => finish('closed'))
    return {
      send: (envelope, onAnswer) => pool.post(session, envelope, onAnswer),
      pause: () => { socket.pause() },
      resume: () => { socket.resume() },
      close: () => {
        isOver = true
        socket.destroy()
      }
    }
  }
}
