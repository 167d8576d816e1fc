import http from 'node:http'
import { createHistogram, performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { latencyOf, type Latency } from '../harness/report/latency.ts'
import { loopback } from '../harness/streams/loopback.ts'

/** Bare and tether servers answer a POST there, and do nothing else. */
const postUrl = '/post'

export interface PostOptions {
  readonly port: number
  readonly perSecond: number
  readonly seconds: number
}

const connections = 50
const timeoutMs = 10_000

const agent = new http.Agent({ keepAlive: true, maxSockets: connections })

/** Posts at a fixed rate, whatever the answers do. A request that had to wait to be sent has waited too: it counts from when it was due. */
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
    // Reported below; until then a failure must not end the process.
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
