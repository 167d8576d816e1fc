import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LocalEngine, type LocalSettings } from '../../../plugin/cluster/local/local-engine.ts'
import { dialSocket } from '../../../plugin/cluster/local/socket-directory.ts'
import type { EngineUnderTest, NodeUnderTest } from '../../../plugin/entries/contract-tests.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { LocalProcess } from './local-process-handle.ts'
import { defaultLocal } from './local-settings.ts'

interface Scope { after: (end: () => unknown) => void }

export function makeDirectory (scope: Scope): string {
  const directory = mkdtempSync(join(tmpdir(), 'tether-local-'))
  scope.after(() => { rmSync(directory, { recursive: true, force: true }) })
  return directory
}

export function settingsFor (directory: string, more: Partial<LocalSettings> = {}): LocalSettings {
  return { ...defaults.local, ...defaultLocal, directory, ...more }
}

const silent = { entry () {}, message () {}, up () {}, down () {}, forgot () {} }

/** The hub in this process, with a relay before each node that can cut and freeze. */
export const localHere: EngineUnderTest = {
  name: 'local',
  can: { durable: true, due: true, journal: true },
  faults: ['cut', 'freeze'],
  deadlineMs: defaultLocal.deadlineMs,
  shortestMs: 100,
  queue: { count: defaultLocal.maxCalls, bytes: defaultLocal.maxCallBytes },
  start: async (scope) => {
    const directory = makeDirectory(scope)
    const hosts = new Map<string, Promise<LocalEngine>>()
    return {
      node: async (application) => {
        if (!hosts.has(application.name)) {
          hosts.set(application.name, (async () => {
            const host = new LocalEngine(settingsFor(directory), application)
            scope.after(() => host.close())
            await host.open('host', silent)
            return host
          })())
        }
        await hosts.get(application.name)
        return relayed(scope, directory, (dial) => new LocalEngine(settingsFor(directory, { dial }), application))
      }
    }
  }
}

/** The hub in a process of its own, which can die. */
export function localElsewhere (isDurable: boolean): EngineUnderTest {
  return {
    name: isDurable ? 'local, durable' : 'local, in memory alone',
    can: { durable: isDurable, due: true, journal: true },
    faults: isDurable ? ['restart'] : ['restart', 'empty'],
    deadlineMs: defaultLocal.deadlineMs,
    shortestMs: 100,
    queue: { count: defaultLocal.maxCalls, bytes: defaultLocal.maxCallBytes },
    start: async (scope) => {
      const directory = makeDirectory(scope)
      let host: LocalProcess | undefined
      const kill = async () => { await host?.kill() }
      scope.after(kill)
      return {
        node: async (application) => {
          if (host === undefined) {
            host = new LocalProcess(directory, application.name, 'host', isDurable)
          }
          await host.up()
          return { engine: new LocalEngine(settingsFor(directory, { durable: isDurable }), application) }
        },
        restart: kill,
        empty: kill
      }
    }
  }
}

function relayed (scope: Scope, directory: string, make: (dial: NonNullable<LocalSettings['dial']>) => LocalEngine): NodeUnderTest {
  let target = ''
  let state: 'open' | 'cut' | 'frozen' = 'open'
  const sockets = new Set<Socket>()
  const relay = createServer({ pauseOnConnect: true }, (outside) => {
    const inside = connect(target)
    for (const socket of [outside, inside]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => {
        sockets.delete(socket)
        outside.destroy()
        inside.destroy()
      })
    }
    if (state === 'open') {
      outside.pipe(inside)
      inside.pipe(outside)
      outside.resume()
    }
  })
  const path = join(directory, `relay-${Math.random().toString(36).slice(2)}`)
  // A case counts what keeps the process alive.
  relay.listen(path).unref()
  scope.after(() => {
    for (const socket of sockets) socket.destroy()
    relay.close()
  })
  const engine = make(async (wanted) => {
    target = wanted
    if (state === 'cut') throw new Error('cut')
    return await dialSocket(path)
  })
  return {
    engine,
    cut: () => {
      state = 'cut'
      for (const socket of sockets) socket.destroy()
    },
    freeze: () => {
      state = 'frozen'
      for (const socket of sockets) socket.unpipe().pause()
    },
    mend: () => {
      // What was frozen breaks: the node may have given it up already.
      if (state === 'frozen') for (const socket of sockets) socket.destroy()
      state = 'open'
    }
  }
}
