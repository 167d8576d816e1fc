import { AnswerReader } from './answer-reader.ts'
import { faultBytes, helloFinder, refusalOf, type OpenLink } from './link.ts'
import { PostPool } from './post-pool.ts'
import { connect, headOf, type Target } from './target.ts'

/** Links over server-sent events: a connection for each stream, and shared ones for the events. */
export function sseLinks (target: Target): OpenLink {
  const pool = new PostPool(target)
  return ({ onHello, onText, onGone }, resumed) => {
    let session = ''
    let isOver = false
    let status = 0
    let fault = ''
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
      onHead: (given) => { status = given },
      onBody: (bytes) => {
        if (isOver) return
        if (status !== 200) {
          fault += bytes.toString('latin1', 0, faultBytes)
          if (fault.length >= faultBytes) finish(refusalOf(status, fault))
          return
        }
        find(bytes)
        onText(bytes)
      },
      onEnd: () => finish(status === 200 ? 'ended by the server' : refusalOf(status, fault)),
      onFault: finish
    })
    const socket = connect(target, () => {
      const id = resumed === null ? { 'x-tether-session': 'new' } : { 'x-tether-session': resumed, 'last-event-id': `${resumed}.0` }
      socket.write(`${headOf('GET', target, { accept: 'text/event-stream', ...id })}\r\n`)
    })
    socket.on('data', (bytes) => reader.read(bytes))
    socket.on('error', (error) => finish(error.message))
    socket.on('close', () => finish(status === 0 || status === 200 ? 'closed' : refusalOf(status, fault)))
    const close = (): void => {
      isOver = true
      socket.destroy()
    }
    return {
      send: (envelope, onAnswer) => pool.post(session, envelope, onAnswer),
      pause: () => { socket.pause() },
      resume: () => { socket.resume() },
      close,
      leave: () => {
        if (isOver) return
        pool.leave(session, () => {})
        close()
      }
    }
  }
}
