import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { Acknowledgements } from './acknowledgements.ts'

/** Each tick begins when the last one has reached all readers. Resolves with the number of ticks, after the time or at the limit. */
export function runClosedLoop (emit: () => void, acknowledgements: Acknowledgements, seconds: number, limit = Infinity): Promise<number> {
  return new Promise((resolve, reject) => {
    const end = performance.now() + seconds * 1000
    let ticks = 1
    acknowledgements.onLost = () => reject(new Error('the process of the readers is gone'))
    acknowledgements.onTick = () => {
      if (ticks >= limit || performance.now() >= end) {
        acknowledgements.onTick = () => {}
        acknowledgements.onLost = () => {}
        return resolve(ticks)
      }
      ticks += 1
      emit()
    }
    emit()
  })
}

/** A tick begins at each interval, even before the last one has reached any reader. Resolves with the number of ticks. */
export async function runFixedRate (emit: () => void, seconds: number, ticksPerSecond: number): Promise<number> {
  const startedAt = performance.now()
  const planned = Math.max(1, Math.round(seconds * ticksPerSecond))
  let ticks = 0
  // A server that cannot keep up skips ticks; the report shows the reached rate.
  for (let place = 0; place < planned; place += 1) {
    const lateMs = performance.now() - (startedAt + place * 1000 / ticksPerSecond)
    if (lateMs > 1000 / ticksPerSecond) continue
    if (lateMs < 0) await delay(-lateMs)
    emit()
    ticks += 1
  }
  await delay(Math.max(0, startedAt + seconds * 1000 - performance.now()))
  return ticks
}
