import http2 from 'node:http2'
import { codeIn, faultBytes, helloFinder, leaveEvent, refusalOf, type Answered, type OpenLink } from './link.ts'
import { pathOf, type Target } from './target.ts'

/** Streams on one connection. Servers commonly allow 100; events need some of them. */
const streamsPerConnection = 80

/** Links over HTTP/2: some share a connection, on which their events go up as well. */
export function http2Links (target: Target): OpenLink {
  const connections: Array<{ session: http2.ClientHttp2Session, links: number }> = []
  const { host, path, headers, isSecure } = target

  const connection = () => {
    const found = connections.find(({ session, links }) => links < streamsPerConnection && !session.closed && !session.destroyed)
    if (found !== undefined) return found
    const session = http2.connect(`${isSecure ? 'https' : 'http'}://${host}`, { rejectUnauthorized: false })
    session.on('error', () => {})
    const made = { session, links: 0 }
    connections.push(made)
    session.on('close', () => { connections.splice(connections.indexOf(made), 1) })
    return made
  }

  return ({ onHello, onText, onGone }, resumed) => {
    const shared = connection()
    shared.links += 1
    let session = ''
    let isOver = false
    let status = 0
    let fault = ''
    const release = (): void => {
      shared.links -= 1
      if (shared.links === 0) shared.session.close()
    }
    const leave = (): void => {
      isOver = true
      stream.close(http2.constants.NGHTTP2_CANCEL)
      release()
    }
    const finish = (reason: string): void => {
      if (isOver) return
      leave()
      onGone(reason)
    }
    const find = helloFinder((found) => {
      session = found
      onHello(found)
    })
    const id = resumed === null ? { 'x-tether-session': 'new' } : { 'x-tether-session': resumed, 'last-event-id': `${resumed}.0` }
    const stream = shared.session.request({ ...headers, ':method': 'GET', ':path': path, accept: 'text/event-stream', ...id })
    stream.on('response', ({ ':status': given = 0 }) => { status = given })
    stream.on('data', (bytes: Buffer) => {
      if (isOver) return
      if (status !== 200) {
        fault += bytes.toString('latin1', 0, faultBytes)
        if (fault.length >= faultBytes) finish(refusalOf(status, fault))
        return
      }
      find(bytes)
      onText(bytes)
    })
    stream.on('error', (error) => finish(error.message))
    stream.on('end', () => { if (status !== 200) finish(refusalOf(status, fault)) })
    stream.on('close', () => finish(status === 0 || status === 200 ? 'closed' : refusalOf(status, fault)))
    const post = (to: string, body: string, onAnswer: Answered): void => {
      if (shared.session.closed || shared.session.destroyed) return onAnswer(0, '')
      const request = shared.session.request({ ...headers, ':method': 'POST', ':path': to, 'content-type': 'application/json', 'x-tether-session': session })
      let status = 0
      let fault = ''
      request.on('response', ({ ':status': given = 0 }) => { status = given })
      request.on('data', (bytes: Buffer) => { if (status >= 400 && fault.length < faultBytes) fault += bytes.toString('latin1') })
      request.on('error', () => {})
      request.on('close', () => onAnswer(status, codeIn(fault)))
      request.end(body)
    }
    return {
      send: (envelope, onAnswer) => post(path, envelope, onAnswer),
      pause: () => { stream.pause() },
      resume: () => { stream.resume() },
      close: () => { if (!isOver) leave() },
      leave: () => {
        if (isOver) return
        // The connection stays for the answer.
        shared.links += 1
        post(pathOf(target, leaveEvent), '{}', release)
        leave()
      }
    }
  }
}
