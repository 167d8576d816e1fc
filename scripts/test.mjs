// Runs every check and ends with one line of totals:
//   npm test                                      every check, and socket suites on other Node.js versions
//   npm run test:long                             the same at length
//   npm test -- test/unit/delivery/outbox.test.ts only these test files
//   npm test -- --node 24 test/e2e/drain.test.ts   the same on another Node.js
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { nodeBinary, nodeVersions } from './node-versions.mjs'

const { values, positionals: files } = parseArgs({
  allowPositionals: true,
  options: { long: { type: 'boolean', default: false }, node: { type: 'string' } }
})
const root = fileURLToPath(new URL('..', import.meta.url))

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * Shortens TAP to a line for each file, and to its failures. The counts
 * are tap's own, from its last comment.
 */
function tapReader (print) {
  let counts
  let block = []
  let isInDiagnostics = false
  return {
    line (line) {
      // Of tap's report on a failed file, only the end of the process is new.
      if (isInDiagnostics) {
        if (/^ {2}(exitCode|signal|expired|timeout): [^n]/.test(line)) print(line)
        isInDiagnostics = line !== '  ...'
        return
      }
      const totals = /^# \{ total: .*\}$/.exec(line)
      if (totals) {
        const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0)
        counts = { passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') }
      } else if (/^(not )?ok /.test(line)) {
        for (const held of block) {
          if (/^\s+ok /.test(held) ? / # (SKIP|TODO)/i.test(held) : line.startsWith('not ok') && !isFrame(held)) print(held)
        }
        block = []
        print(line.replace(/^(not ok|ok) \d+ - /, '$1 '))
      } else if (/^(# Subtest| {4})/.test(line)) {
        block.push(line)
      } else if (line === '  ---') {
        isInDiagnostics = true
      } else if (line !== '' && !/^(TAP version|1\.\.\d|# (time=|No coverage))/.test(line)) {
        print(line)
      }
    },
    counts: () => counts
  }
}

/** Whether a line of TAP only structures the others. */
function isFrame (line) {
  return /^\s*$|^\s*(1\.\.\d|# (Subtest|time=))/.test(line)
}

function tstycheReader (print) {
  let counts
  return {
    line (line) {
      const totals = /^Assertions: +(.*)/.exec(line)
      if (totals) {
        const count = (name) => Number(new RegExp(`(\\d+) ${name}`).exec(totals[1])?.[1] ?? 0)
        counts = { passed: count('passed'), failed: count('failed'), skipped: count('skipped') + count('todo') }
      }
      print(line)
    },
    counts: () => counts
  }
}

/** For stages without counts: the stage itself is one check. */
function plainReader (print) {
  return { line: print, counts: () => ({ passed: 1, failed: 0, skipped: 0 }) }
}

/** Tests that may depend on the version of Node.js: sockets, compression, the client. */
const socketSuites = /^(e2e|client)\/|^unit\/compression\//
/** The tests among these that depend on it more, for a version that most users run. */
const streamSuites = /^e2e\/(async-context|bad-bodies|binding|compression|connection-reuse|disconnects|drain|encapsulation|error-answers|event-source|flow-control|handler-faults|head-first|heartbeats|http1-variants|http2-.*|ingress|injection|intermediaries|large-updates|late-reply|lifecycle|memory-.*|mixed-order|opening|pace|pipelined|plugins|polyfills|replay|requests|send-all|server-timeouts|session-life|shutdown|slow-readers|stream-log|take-over|topics|transport.*|unloggable|updates|websocket.*)\.|^client\/(connection|event-stream-parser|memory|numbering|requests|setup|sse-link|websocket-link)\.|^unit\/compression\/gzip-/
/** Those that show a version that does otherwise first, for the others. */
const coreSuites = /^e2e\/(compression|disconnects|drain|flow-control|head-first|http2-.*|large-updates|late-reply|replay|shutdown|slow-readers|take-over|transport-.*|websocket)\.|^client\/(connection|sse-link|websocket-link)\.|^unit\/compression\/gzip-/
/** The engine with sockets of its own. The servers of other engines hide the version. */
const hubSuites = /^cluster\/local/
const wellTested = ['20', '24']

/** A stage that runs test files on one Node.js. */
function tapStage (name, version, files) {
  return { name, script: 'tap', version, args: ['--reporter=tap', ...files], reader: tapReader }
}

/** Majors other than that of the running Node.js. */
const others = nodeVersions.map((version) => version.split('.')[0]).filter((major) => !process.version.startsWith(`v${major}.`))

/**
 * One step after the other. The lanes of a step run side by side, since each of these stages keeps a
 * single processor busy; tap's jobs have the machine to themselves.
 */
function allSteps () {
  const all = readdirSync(`${root}/test`, { recursive: true }).filter((file) => file.endsWith('.test.ts')).sort()
  const suites = (...patterns) => all.filter((file) => patterns.some((pattern) => pattern.test(file))).map((file) => `test/${file}`)
  return [
    [[{ name: 'system', script: 'setup:system' }]],
    [
      [{ name: 'rooms', script: 'check:rooms' }, { name: 'lint', script: 'lint' }, tapStage('unit', undefined, ['test/unit/all.ts']), { name: 'types', script: 'test:types', reader: tstycheReader }],
      [{ name: 'typecheck', script: 'typecheck' }, { name: 'build', script: 'build' }, { name: 'size', script: 'check:size', needs: 'build' }, { name: 'package', script: 'check:package', needs: 'build' }, { name: 'unused', script: 'check:unused' }]
    ],
    [[tapStage('tap', undefined, suites(/^(?!unit\/|long\/)/))]],
    ...others.map((major) => [[tapStage(`on ${major}`, major, values.long ? suites(socketSuites, hubSuites) : suites(wellTested.includes(major) ? streamSuites : coreSuites))]]),
    ...values.long ? [[[tapStage('long', undefined, suites(/^(long|unit)\//))]], [[{ name: 'chaos', script: 'chaos' }]], [[{ name: 'nodes', script: 'chaos', args: ['--nodes', '3', '--minutes', '1', '--updates', '100000', '--events', '10000'] }]]] : []
  ]
}

const steps = files.length === 0 && values.node === undefined ? allSteps() : [[[tapStage('tap', values.node, files)]]]

function commandOf ({ script, version, args = [] }, print) {
  // tap runs each file with the Node.js that runs tap.
  if (script === 'tap') return [nodeBinary(version ?? process.version.slice(1), print), [`${root}/node_modules/.bin/tap`, ...args]]
  return ['npm', ['run', '--silent', script, '--', ...args]]
}

/** @returns {Promise<Counts>} */
async function run (stage, print) {
  const { reader = plainReader } = stage
  const child = spawn(...commandOf(stage, print), {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', ...values.long ? { TETHER_TEST_LONG: '1' } : {} },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const { line, counts } = reader(print)
  createInterface({ input: child.stdout }).on('line', line)
  createInterface({ input: child.stderr }).on('line', print)
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  const result = counts() ?? { passed: 0, failed: 0, skipped: 0 }
  if (reader === plainReader) return code === 0 ? result : { passed: 0, failed: 1, skipped: 0 }
  // A run that breaks before it can count, or that finds no tests, has failed.
  const isBroken = result.failed === 0 && (code !== 0 || result.passed === 0)
  return isBroken ? { ...result, failed: 1 } : result
}

const results = new Map()

async function runStage (stage, print) {
  print(`\n--- ${stage.name}`)
  const startedAt = performance.now()
  const isBlocked = results.get(stage.needs)?.failed > 0
  if (isBlocked) print(`not run: ${stage.needs} failed`)
  const counts = isBlocked ? { passed: 0, failed: 1, skipped: 0 } : await run(stage, print)
  results.set(stage.name, { ...counts, seconds: (performance.now() - startedAt) / 1000 })
}

for (const lanes of steps) {
  await Promise.all(lanes.map(async (lane) => {
    for (const stage of lane) {
      const lines = []
      // The output of a stage that runs beside others is printed at its end, in one piece.
      await runStage(stage, lanes.length === 1 ? console.log : (line) => lines.push(line))
      for (const line of lines) console.log(line)
    }
  }))
}

const total = { passed: 0, failed: 0 }
console.log('\nstage         time  result')
for (const [name, { passed, failed, skipped, seconds }] of results) {
  total.passed += passed
  total.failed += failed
  const parts = [`${passed} passed`, failed > 0 && `${failed} FAILED`, skipped > 0 && `${skipped} skipped`]
  console.log(`${name.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s  ${parts.filter(Boolean).join(', ')}`)
}
if (files.length === 0 && !values.long) console.log('\nnpm run test:long adds all socket suites and the local hub on each other Node.js, the files in test/long (every Redis client and cluster, reloads and restarts of the documented program, slow proxies, known limits of tune, which a busy machine would hide), more rounds and clients in test/cluster, ten times as many runs of each property of a unit test and requests of the fuzzer, two minutes of chaos, and one over nodes')
process.exitCode = total.failed > 0 ? 1 : 0
console.log(`\n${total.passed} passed, ${total.failed} failed`)
