import http from 'node:http'
import { createHistogram, performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { answer } from '../harness/child-endpoint.ts'

export interface PostOptions {
  readonly port: number
  readonly path: string
  readonly perSecond: number
  readonly seconds: number
}

export interface PostReading {
  readonly sent: number
  /** From when it was due to its answer, in milliseconds: a request that had to wait to be sent has waited too. */
  readonly p50: number
  readonly p99: number
  readonly maximum: number
}

const connections = 50
const timeoutMs = 10_000

const agent = new http.Agent({ keepAlive: true, maxSockets: connections })

function post ({ port, path }: PostOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, port, path, host: '127.0.0.1', method: 'POST', timeout: timeoutMs }, (response) => {
      response.resume()
      response.on('end', () => {
        if (response.statusCode === 204) resolve()
        else reject(new Error(`a POST was answered ${response.statusCode}`))
      })
    })
    request.on('error', reject)
    request.on('timeout', () => request.destroy(new Error('a POST was not answered in time')))
    request.end()
  })
}

const calls = {
  /** Posts at a fixed rate, whatever the answers do. */
  drive: async (options: PostOptions): Promise<PostReading> => {
    const latencies = createHistogram({ figures: 3 })
    const total = Math.round(options.perSecond * options.seconds)
    const startedAt = performance.now()
    const answers: Array<Promise<void>> = []
    for (let count = 0; count < total; count += 1) {
      const dueAt = startedAt + count * 1000 / options.perSecond
      const earlyMs = dueAt - performance.now()
      if (earlyMs > 0) await delay(earlyMs)
      const answer = post(options).then(() => {
        latencies.record(Math.max(1, Math.round((performance.now() - dueAt) * 1000)))
      })
      // Reported below; until then a failure must not end the process.
      answer.catch(() => {})
      answers.push(answer)
    }
    await Promise.all(answers)
    return {
      sent: total,
      p50: latencies.percentile(50) / 1000,
      p99: latencies.percentile(99) / 1000,
      maximum: latencies.max / 1000
    }
  }
}

export type PostCalls = typeof calls

answer(calls)
