import { readFileSync } from 'node:fs'
import os from 'node:os'
import process from 'node:process'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryBytes: number
  readonly system: string
  readonly node: string
  /** Load average of the last minute at the start, which shows other work. */
  readonly load: number
}

export function describeMachine (): Machine {
  return {
    processor: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    load: Number(os.loadavg()[0]?.toFixed(2))
  }
}

/** Milliseconds of processor time of the whole machine since its start. */
export interface ProcessorTimes {
  readonly busyMs: number
  readonly totalMs: number
  /** Time that a hypervisor gave to other machines. 0 where the system does not tell. */
  readonly stealMs: number
}

const tickMs = 10

export function readProcessorTimes (): ProcessorTimes {
  try {
    const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softIrq = 0, steal = 0] = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))![1]!.split(' ').map(Number)
    const busy = user + nice + system + irq + softIrq
    return { busyMs: busy * tickMs, totalMs: (busy + idle + wait + steal) * tickMs, stealMs: steal * tickMs }
  } catch {
    const times = os.cpus().map((cpu) => cpu.times)
    const busy = times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0)
    return { busyMs: busy, totalMs: busy + times.reduce((sum, { idle }) => sum + idle, 0), stealMs: 0 }
  }
}

/** Milliseconds of processor time of a process on this machine; null where the system does not tell. */
export function processTimeMs (pid: number): number | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) * tickMs
  } catch {
    return null
  }
}

/** Milliseconds for which the main thread of a process was ready to run, and had no processor; null where the system does not tell. */
export function processWaitMs (pid: number): number | null {
  try {
    const waited = Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1])
    return Number.isFinite(waited) ? waited / 1e6 : null
  } catch {
    return null
  }
}

/** Most files that a process may have open; null where the system does not tell. */
export function descriptorLimit (): number | null {
  try {
    const limit = /^Max open files +(\d+|unlimited) +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    // Node raises the limit to the hard one.
    return limit === null || limit[2] === 'unlimited' ? null : Number(limit[2])
  } catch {
    return null
  }
}

/** Most connections of one address to one server. */
export function portLimit (): number {
  try {
    const [from = 32_768, to = 60_999] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number)
    return to - from + 1
  } catch {
    return 16_000
  }
}
