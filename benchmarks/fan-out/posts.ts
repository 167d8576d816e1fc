import http from 'node:http'
import { createHistogram, performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { latencyOf, type Latency } from '../harness/report/latency.ts'
import { loopback } from '../harness/streams/loopback.ts'

/** URL where bare and tether servers answer a POST and do nothing else. */
const postUrl = '/post'

export interface PostOptions {
  readonly port: number
  readonly perSecond: number
  readonly seconds: number
}

const connections = 50
const timeoutMs = 10_000

const agent = new http.Agent({ keepAlive: true, maxSockets: connections })

/** Posts at a fixed rate, without waiting for answers. Latency counts from the time when a request was due, so a delayed start counts too. */
export async function drivePosts ({ port, perSecond, seconds }: PostOptions): Promise<Latency> {
  const latencies = createHistogram({ figures: 3 })
  const startedAt = performance.now()
  const answers: Array<Promise<void>> = []
  for (let count = 0; count < Math.round(perSecond * seconds); count += 1) {
    const dueAt = startedAt + count * 1000 / perSecond
    const earlyMs = dueAt - performance.now()
    if (earlyMs > 0) await delay(earlyMs)
    const answer = post(port).then(() => {
      latencies.record(Math.max(1, Math.round((performance.now() - dueAt) * 1000)))
    })
    // The failure is reported below; until then it must not end the process.
    answer.catch(() => {})
    answers.push(answer)
  }
  await Promise.all(answers)
  return latencyOf(latencies)
}

function post (port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, port, path: postUrl, host: loopback, method: 'POST', timeout: timeoutMs }, (response) => {
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
