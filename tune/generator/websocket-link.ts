import { randomBytes } from 'node:crypto'
import { AnswerReader } from './answer-reader.ts'
import { codeIn, helloFinder, leaveEvent, type Answered, type OpenLink } from './link.ts'
import { MessageReader, maskedFrame, opcodes } from './websocket-messages.ts'
import { connect, headOf, type Target } from './target.ts'

const answer = /^data: \{"type":"answer","status":(\d+).*$/gm

/** A server ends the connection of a session that left by itself. */
const leaveMs = 1_000

/** Links over WebSockets: events go up on the same connection, and are answered there in order. */
export function webSocketLinks (target: Target): OpenLink {
  return ({ onHello, onText, onGone }, resumed) => {
    const unanswered: Answered[] = []
    let isOver = false
    let fault = ''
    const finish = (reason: string): void => {
      if (isOver) return
      isOver = true
      socket.destroy()
      for (const onAnswer of unanswered.splice(0)) onAnswer(0, '')
      onGone(reason)
    }
    let isOpen = false
    const find = helloFinder((session) => {
      isOpen = true
      onHello(session)
    })
    const messages = new MessageReader({
      onText: (bytes) => {
        find(bytes)
        // Frames are whole within a message.
        if (unanswered.length > 0 || !isOpen) {
          for (const [text, status = ''] of bytes.toString('latin1').matchAll(answer)) {
            if (!isOpen) fault = `status ${status}, ${codeIn(text)}`
            unanswered.shift()?.(Number(status), codeIn(text))
          }
        }
        onText(bytes)
      },
      onPing: (bytes) => { socket.write(maskedFrame(opcodes.pong, bytes)) },
      // 1013: there is no room for a session.
      onClose: (code) => finish(fault !== '' ? fault : `closed by the server with ${code}`)
    })
    const reader = new AnswerReader({
      onHead: (status) => {
        if (status !== 101) return finish(`status ${status}`)
        const id = resumed === null ? { session: 'new' } : { session: resumed, lastEventId: `${resumed}.0` }
        socket.write(maskedFrame(opcodes.text, Buffer.from(JSON.stringify(id))))
      },
      onBody: (bytes) => { if (!isOver) messages.read(bytes) },
      onEnd: () => {},
      onFault: finish
    })
    const socket = connect(target, () => {
      const upgrade = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') }
      socket.write(`${headOf('GET', target, upgrade)}\r\n`)
    })
    socket.on('data', (bytes) => reader.read(bytes))
    socket.on('error', (error) => finish(error.message))
    socket.on('close', () => finish('closed'))
    return {
      send: (envelope, onAnswer) => {
        if (isOver) return onAnswer(0, '')
        unanswered.push(onAnswer)
        socket.write(maskedFrame(opcodes.text, Buffer.from(envelope)))
      },
      pause: () => { socket.pause() },
      resume: () => { socket.resume() },
      close: () => {
        isOver = true
        socket.destroy()
        for (const onAnswer of unanswered.splice(0)) onAnswer(0, '')
      },
      leave: () => {
        if (isOver) return
        isOver = true
        for (const onAnswer of unanswered.splice(0)) onAnswer(0, '')
        socket.end(maskedFrame(opcodes.text, Buffer.from(JSON.stringify({ event: leaveEvent, data: {} }))))
        setTimeout(() => socket.destroy(), leaveMs)
      }
    }
  }
}
