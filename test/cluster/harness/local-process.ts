// A process with one node on the local hub. It does what its parent asks, and tells what its engine reports.
import { local } from '../../../plugin/entries/local.ts'
import type { LocalEngine } from '../../../plugin/cluster/local/local-engine.ts'
import { defaultLocal } from './local-settings.ts'

const [directory, application, node, durable] = process.argv.slice(2) as [string, string, string, string]
const engine = local({ ...defaultLocal, directory, durable: durable === 'durable' }).engineFor({ name: application, logMs: 60_000 }) as LocalEngine
const tell = (message: object) => { process.send?.(message) }

process.on('message', async ({ id, call, args }: { id: number, call: string, args: Array<string | number | null | object> }) => {
  try {
    const result = await run(call, args)
    tell({ id, result })
  } catch (error) {
    tell({ id, error: (error as Error).message })
  }
})
// A process whose parent is dead ends.
process.on('disconnect', () => { process.exit() })

async function run (call: string, args: any[]): Promise<unknown> {
  switch (call) {
    case 'append': return engine.append(Buffer.from(args[0]))
    case 'put': return engine.put(args[0], Buffer.from(args[1]), args[2], { ttlMs: 60_000 })
    case 'get': {
      const found = await engine.get(args[0])
      return found === null ? null : { revision: found.revision, value: found.value.toString() }
    }
    case 'renew': return engine.renew(args[0], Buffer.from('card'))
    case 'nodes': return [...(await engine.nodes()).keys()]
    case 'range': return (await engine.range(null, 1_000_000)).map(({ bytes }) => bytes.toString())
    case 'serving': return engine.isServing
    case 'load': {
      // Appends and writes records until it is stopped, and tells what was acknowledged.
      for (let index = 0; index < args[0]; index++) {
        await Promise.all([
          engine.append(Buffer.from(`${node}:${index}`)).then(() => { tell({ appended: `${node}:${index}` }) }, () => {}),
          engine.put(`${node}-${index}`, Buffer.from(String(index)), null, { ttlMs: 60_000 }).then(() => { tell({ written: `${node}-${index}` }) }, () => {})
        ])
        if (index % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      }
      return
    }
    case 'close': return engine.close()
  }
}

await engine.open(node, {
  entry: (_at, bytes) => { tell({ entry: bytes.toString() }) },
  message: (from, bytes) => { tell({ message: bytes.toString(), from }) },
  up: () => { tell({ state: 'up' }) },
  down: () => { tell({ state: 'down' }) },
  forgot: () => { tell({ state: 'forgot' }) }
})
