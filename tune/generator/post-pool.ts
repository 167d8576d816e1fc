import type { Socket } from 'node:net'
import { AnswerReader } from './answer-reader.ts'
import { codeIn, faultBytes, leaveEvent, type Answered } from './link.ts'
import { connect, headOf, pathOf, type Target } from './target.ts'

/** Most connections for events: beyond them events wait here, and their time counts. */
const mostConnections = 512
const timeoutMs = 30_000

interface Post {
  readonly request: string
  readonly onAnswer: Answered
}

/** Posts events over HTTP/1.1. It opens another connection whenever all are waiting for answers. */
export class PostPool {
  readonly #target: Target
  readonly #head: string
  readonly #leaveHead: string
  readonly #idle: PostConnection[] = []
  readonly #waiting: Post[] = []
  #open = 0

  constructor (target: Target) {
    this.#target = target
    this.#head = headOf('POST', target, { 'content-type': 'application/json' })
    this.#leaveHead = headOf('POST', { ...target, path: pathOf(target, leaveEvent) }, { 'content-type': 'application/json' })
  }

  post (session: string, body: string, onAnswer: Answered): void {
    this.#send(this.#head, session, body, onAnswer)
  }

  /** Tells the server that a session's page goes away. */
  leave (session: string, onAnswer: Answered): void {
    this.#send(this.#leaveHead, session, '{}', onAnswer)
  }

  #send (head: string, session: string, body: string, onAnswer: Answered): void {
    const post = { request: `${head}x-tether-session: ${session}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, onAnswer }
    const connection = this.#idle.pop()
    if (connection !== undefined) connection.send(post)
    else if (this.#open < mostConnections) this.#connect(post)
    else this.#waiting.push(post)
  }

  #connect (first: Post): void {
    this.#open += 1
    new PostConnection(this.#target, {
      onFree: (connection) => {
        const next = this.#waiting.shift()
        if (next === undefined) this.#idle.push(connection)
        else connection.send(next)
      },
      onGone: (connection) => {
        this.#open -= 1
        const index = this.#idle.indexOf(connection)
        if (index !== -1) this.#idle.splice(index, 1)
        const next = this.#waiting.shift()
        if (next !== undefined) this.#connect(next)
      }
    }).send(first)
  }
}

class PostConnection {
  readonly #socket: Socket
  #post: Post | null = null
  #timer: NodeJS.Timeout | null = null
  #status = 0
  #fault = ''
  #isGone = false

  constructor (target: Target, pool: { onFree: (connection: PostConnection) => void, onGone: (connection: PostConnection) => void }) {
    const reader = new AnswerReader({
      onHead: (status) => {
        this.#status = status
        this.#fault = ''
      },
      onBody: (bytes) => { if (this.#status >= 400 && this.#fault.length < faultBytes) this.#fault += bytes.toString('latin1') },
      onEnd: (keeps) => {
        this.#settle(this.#status, codeIn(this.#fault))
        if (keeps) pool.onFree(this)
        else this.#socket.destroy()
      },
      onFault: () => this.#socket.destroy()
    })
    this.#socket = connect(target, () => {})
    this.#socket.on('data', (bytes) => reader.read(bytes))
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => {
      this.#isGone = true
      this.#settle(0, '')
      pool.onGone(this)
    })
  }

  send (post: Post): void {
    this.#post = post
    if (this.#isGone) return this.#settle(0, '')
    this.#timer = setTimeout(() => this.#socket.destroy(), timeoutMs)
    this.#socket.write(post.request)
  }

  #settle (status: number, code: string): void {
    const post = this.#post
    this.#post = null
    if (this.#timer !== null) clearTimeout(this.#timer)
    post?.onAnswer(status, code)
  }
}
