import { existsSync, openSync, readdirSync, readSync } from 'node:fs'
import { RateWindow } from './rate-window.ts'
import type { Source } from './source.ts'

const windowMs = 1000
const sectorBytes = 512

/**
 * The machine's figures straight from /proc, a few microseconds each.
 */
export function linuxSources (): Source[] {
  return [processors(), memory(), network(), disk()].filter((source) => source !== undefined)
}

function processors (): Source | undefined {
  const stat = procFile('stat')
  if (stat === undefined) return undefined
  const overall = new RateWindow(windowMs)
  const each = new RateWindow(windowMs)
  return {
    series: ['cpu', 'cores'],
    everyMs: 8,
    read (at) {
      const text = stat()
      const [first, ...others] = text
        .slice(0, text.indexOf('intr'))
        .split('\n')
        .filter((line) => line.startsWith('cpu'))
        .map(busyAndTotal)
      return {
        cpu: overall.busyPercent(at, first ?? []),
        cores: each.busyPercent(at, others.flat())
      }
    }
  }
}

function memory (): Source | undefined {
  const meminfo = procFile('meminfo')
  if (meminfo === undefined) return undefined
  return {
    series: ['memory'],
    everyMs: 100,
    read () {
      const text = meminfo()
      const total = kilobytes(text, 'MemTotal')
      const available = kilobytes(text, 'MemAvailable')
      return { memory: total === undefined || available === undefined ? undefined : [total - available, available] }
    }
  }
}

function network (): Source | undefined {
  const devices = procFile('net/dev')
  if (devices === undefined) return undefined
  const window = new RateWindow(windowMs)
  const physical = new Map<string, boolean>()
  const isPhysical = (name: string): boolean => {
    let known = physical.get(name)
    if (known === undefined) physical.set(name, known = existsSync(`/sys/class/net/${name}/device`))
    return known
  }
  return {
    series: ['network'],
    everyMs: 8,
    read (at) {
      const rows = devices().split('\n').slice(2).flatMap((line) => {
        const [name, figures] = line.split(':')
        if (name === undefined || figures === undefined) return []
        const columns = figures.trim().split(/\s+/)
        return [{ name: name.trim(), received: Number(columns[0]), sent: Number(columns[8]) }]
      })
      const loopback = rows.find(({ name }) => name === 'lo')
      // Bridges and tunnels repeat the traffic of the cards. Without a card
      // (in a container), all interfaces count.
      const cards = rows.filter(({ name }) => isPhysical(name))
      const counted = cards.length > 0 ? cards : rows.filter((row) => row !== loopback)
      return {
        network: window.perSecond(at, [
          counted.reduce((sum, { received }) => sum + received, 0),
          counted.reduce((sum, { sent }) => sum + sent, 0),
          loopback?.sent ?? 0
        ])
      }
    }
  }
}

function disk (): Source | undefined {
  const statistics = procFile('diskstats')
  if (statistics === undefined || !existsSync('/sys/block')) return undefined
  // Partitions, loop devices and mapped volumes repeat the figures of a whole disk.
  const whole = new Set(readdirSync('/sys/block').filter((name) => !/^(?:loop|ram|zram|dm-|md|sr|fd)/.test(name)))
  if (whole.size === 0) return undefined
  const window = new RateWindow(windowMs)
  return {
    series: ['disk'],
    everyMs: 50,
    read (at) {
      let read = 0
      let written = 0
      for (const line of statistics().split('\n')) {
        const columns = line.trim().split(/\s+/)
        if (!whole.has(columns[2] ?? '')) continue
        read += Number(columns[5]) * sectorBytes
        written += Number(columns[9]) * sectorBytes
      }
      return { disk: window.perSecond(at, [read, written]) }
    }
  }
}

/** Opens a file of /proc once; each call reads it anew. Undefined where there is no such file. */
function procFile (name: string): (() => string) | undefined {
  const path = `/proc/${name}`
  if (!existsSync(path)) return undefined
  const file = openSync(path, 'r')
  let buffer = Buffer.allocUnsafe(16_384)
  return () => {
    let length = 0
    for (;;) {
      const got = readSync(file, buffer, length, buffer.length - length, length)
      length += got
      if (got === 0) return buffer.toString('latin1', 0, length)
      if (length === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2)
    }
  }
}

function busyAndTotal (line: string): [busy: number, total: number] {
  const [, user, nice, system, idle, waiting, interrupt, softInterrupt, stolen] = line.split(/\s+/).map(Number)
  const busy = (user ?? 0) + (nice ?? 0) + (system ?? 0) + (interrupt ?? 0) + (softInterrupt ?? 0) + (stolen ?? 0)
  return [busy, busy + (idle ?? 0) + (waiting ?? 0)]
}

function kilobytes (meminfo: string, name: string): number | undefined {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1]
  return found === undefined ? undefined : Number(found) * 1024
}
