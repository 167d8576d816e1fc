import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseBytes } from '../../tune/quantity.ts'
import { withChildren } from '../harness/process/child-process.ts'
import { requireBuild } from '../harness/process/library.ts'
import { readCommandLine, readCount } from '../harness/report/command-line.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import type { BuiltInCalls } from './server.ts'

// `fastify-tether tune` with the built-in server.

const command = fileURLToPath(new URL('../../dist/tune/cli.js', import.meta.url))

try {
  const { 'update-size': updateSize, updates, 'write-buffer': writeBuffer, 'command-buffer': commandBuffer, quick, ...tune } = readCommandLine('bench', {
    'update-size': { value: 'SIZE', help: 'bytes of an update (2KB)' },
    updates: { value: 'N', help: 'updates that the handler of an event sends (16)' },
    'write-buffer': { value: 'N', help: 'writeBuffer of the server (4)' },
    'command-buffer': { value: 'N', help: 'commandBuffer of the server (64)' },
    slo: { value: 'OBJECTIVE', help: 'latency that must hold (p99=50ms)' },
    rate: { value: 'N', help: 'events a client and second (40)' },
    readers: { value: 'SHARES', help: 'shares of fast, slow, frozen and churning readers (fast=1)' },
    'max-clients': { value: 'N', help: 'never more clients than this (2000)' },
    minutes: { value: 'N', help: 'longest time of the run (10; with --quick 1.5)' },
    quick: { help: 'fewer and shorter steps' },
    json: { value: 'FILE', help: 'write all figures to this file' },
    out: { value: 'FOLDER', help: 'folder of the report (benchmarks/results)' },
    compare: { value: 'FILE', help: 'compare with the figures of an earlier run' }
  })
  requireBuild()
  process.exitCode = await withChildren(async (children) => {
    const server = await children.start<BuiltInCalls>(new URL('server.ts', import.meta.url), { name: 'the server' })
    const port = await server.call('start', {
      updateBytes: updateSize === undefined ? 2_000 : parseBytes('update-size', updateSize),
      updates: readCount('updates', updates, 16),
      writeBuffer: readCount('write-buffer', writeBuffer, 4),
      commandBuffer: readCount('command-buffer', commandBuffer, 64)
    })
    const events = join(await mkdtemp(join(tmpdir(), 'tether-bench-')), 'events.ndjson')
    await writeFile(events, '{"event":"refresh","data":{}}\n')
    const words = Object.entries({ slo: 'p99=50ms', rate: '40', out: 'benchmarks/results', ...tune }).flatMap(([name, value]) => [`--${name}`, String(value)])
    const child = spawn(process.execPath, [command, 'tune', '--url', `http://127.0.0.1:${port}${liveUrl}`, '--events', events, ...quick === undefined ? [] : ['--quick'], ...words], { stdio: 'inherit' })
    const [code] = await once(child, 'close') as [number | null]
    return code ?? 2
  })
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
}
process.exit()
