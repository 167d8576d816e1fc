import { createParser } from 'eventsource-parser'
import type { CDPSession } from 'playwright-core'

/** One update or control frame, as the browser got it. */
export interface Message {
  name: string
  /** Empty where the frame has none. */
  id: string
  /** Read, if it is JSON. */
  data: any
}

/** Tells of every message that comes down to the page, whether it listens with EventSource or with fetch. */
export async function watchStreams (devtools: CDPSession, onMessage: (message: Message) => void): Promise<void> {
  const tell = (name: string, id: string, data: string) => onMessage({ name, id, data: /^[{[]/.test(data) ? JSON.parse(data) : data })
  /** By request, what takes the next piece of its body. */
  const bodies = new Map<string, (piece: string) => void>()

  devtools.on('Network.eventSourceMessageReceived', ({ eventName, eventId, data }) => tell(eventName, eventId, data))
  devtools.on('Network.responseReceived', async ({ requestId, type, response: { mimeType } }) => {
    if (type !== 'Fetch' || mimeType !== 'text/event-stream') return
    const decoder = new TextDecoder()
    const parser = createParser({ onEvent: ({ event = 'message', id = '', data }) => tell(event, id, data) })
    const feed = (piece: string) => parser.feed(decoder.decode(Buffer.from(piece, 'base64'), { stream: true }))
    const early: string[] = []
    bodies.set(requestId, (piece) => early.push(piece))
    // A request that is over before it can be asked for has no more to tell.
    const content = await devtools.send('Network.streamResourceContent', { requestId }).catch(() => ({ bufferedData: '' }))
    for (const piece of [content.bufferedData, ...early]) feed(piece)
    bodies.set(requestId, feed)
  })
  devtools.on('Network.dataReceived', ({ requestId, data }) => {
    if (data !== undefined) bodies.get(requestId)?.(data)
  })
  await devtools.send('Network.enable')
}
