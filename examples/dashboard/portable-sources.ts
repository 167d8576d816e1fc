import { cpus } from 'node:os'
import { fsStats, mem, networkStats } from 'systeminformation'
import type { SeriesName } from './contract.ts'
import { RateWindow } from './rate-window.ts'
import type { Source } from './source.ts'

const windowMs = 1000

/**
 * The machine's figures where there is no /proc: processors from Node, the rest
 * from `systeminformation`, which may start a process and is read once a second.
 */
export function portableSources (): Source[] {
  const overall = new RateWindow(windowMs)
  const each = new RateWindow(windowMs)
  return [
    {
      series: ['cpu', 'cores'],
      everyMs: 50,
      read (at) {
        const times = processorTimes()
        const sum = (which: 'busy' | 'total') => times.reduce((total, processor) => total + processor[which], 0)
        return {
          cpu: overall.busyPercent(at, [sum('busy'), sum('total')]),
          cores: each.busyPercent(at, times.flatMap(({ busy, total }) => [busy, total]))
        }
      }
    },
    polled('memory', async () => {
      const { total, available } = await mem()
      return [total - available, available]
    }),
    polled('network', async () => {
      const devices = await networkStats('*')
      const isLoopback = ({ iface }: typeof devices[number]) => /^lo\d*$|loopback/i.test(iface)
      const cards = devices.filter((device) => !isLoopback(device))
      // Null until there are two readings to compare.
      const sum = (rates: (number | null)[]) => rates.reduce<number>((bytes, rate) => bytes + Math.max(0, rate ?? 0), 0)
      return [
        sum(cards.map((device) => device.rx_sec)),
        sum(cards.map((device) => device.tx_sec)),
        sum(devices.filter(isLoopback).map((device) => device.tx_sec))
      ]
    }),
    polled('disk', async () => {
      // On Windows it gives null, whatever its types say.
      const rates = await fsStats() as Awaited<ReturnType<typeof fsStats>> | null
      return rates === null ? undefined : [rates.rx_sec ?? 0, rates.wx_sec ?? 0]
    })
  ]
}

function polled (series: SeriesName, ask: () => Promise<number[] | undefined>): Source {
  let latest: number[] | undefined
  let asking = false
  return {
    series: [series],
    everyMs: 1000,
    read () {
      if (!asking) {
        asking = true
        // The page does not show a figure that is missing now.
        ask().catch(() => undefined).then((figures) => {
          latest = figures
          asking = false
        })
      }
      return { [series]: latest }
    }
  }
}

function processorTimes (): { busy: number, total: number }[] {
  return cpus().map(({ times }) => {
    const busy = times.user + times.nice + times.sys + times.irq
    return { busy, total: busy + times.idle }
  })
}
