import { once } from 'node:events'
import net from 'node:net'
import type { FanOutOptions, FanOutServer } from './fan-out-server.ts'
import { Nginx } from './nginx.ts'
import { fillerFor, mark, now } from './sample.ts'

/**
 * nginx serves the streams, and only its processor time counts. This process publishes: by POST over one
 * connection that stays open, a tick's requests behind each other without waiting for answers.
 */
export async function startNchanServer ({ frameBytes, streams }: FanOutOptions): Promise<FanOutServer> {
  const text = fillerFor(frameBytes)
  const nginx = await Nginx.start(streams)
  const publisher = net.connect({ port: nginx.port, host: '127.0.0.1', noDelay: true })
  await once(publisher, 'connect')
  publisher.resume()
  publisher.on('close', () => { throw new Error('nginx closed the connection of the publisher') })
  return {
    port: nginx.port,
    path: '/live',
    headers: { accept: 'text/event-stream' },
    audience: async () => {
      const status = await (await fetch(`http://127.0.0.1:${nginx.port}/status`)).text()
      return Number(/^subscribers: (\d+)/m.exec(status)?.[1] ?? Number.NaN)
    },
    emit: (frames) => {
      let requests = ''
      for (let count = 0; count < frames; count += 1) {
        const body = JSON.stringify({ mark, t: now(), text })
        requests += `POST /publish HTTP/1.1\r\nHost: nchan\r\nX-EventSource-Event: sample\r\nContent-Length: ${body.length}\r\n\r\n${body}`
      }
      publisher.write(requests, 'latin1')
    },
    processorMicroseconds: () => nginx.processorMicroseconds(),
    stop: () => nginx.stop()
  }
}
