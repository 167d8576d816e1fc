// Runs every check in order and ends with one line of totals:
//   npm test                          everything
//   npm test -- test/outbox.test.ts   only these test files
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const files = process.argv.slice(2)

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * Shortens TAP to a line for each file, and to what went wrong in it. The counts
 * are tap's own, from its last comment.
 */
function tapReader () {
  let counts
  let block = []
  let isInDiagnostics = false
  return {
    line (line) {
      // What tap says of a failed file: only how the process ended is news.
      if (isInDiagnostics) {
        if (/^ {2}(exitCode|signal|expired|timeout): [^n]/.test(line)) console.log(line)
        isInDiagnostics = line !== '  ...'
        return
      }
      const totals = /^# \{ total: .*\}$/.exec(line)
      if (totals) {
        const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0)
        counts = { passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') }
      } else if (/^(not )?ok /.test(line)) {
        for (const held of block) {
          if (/^\s+ok /.test(held) ? / # (SKIP|TODO)/i.test(held) : line.startsWith('not ok') && !isFrame(held)) console.log(held)
        }
        block = []
        console.log(line.replace(/^(not ok|ok) \d+ - /, '$1 '))
      } else if (/^(# Subtest| {4})/.test(line)) {
        block.push(line)
      } else if (line === '  ---') {
        isInDiagnostics = true
      } else if (line !== '' && !/^(TAP version|1\.\.\d|# (time=|No coverage))/.test(line)) {
        console.log(line)
      }
    },
    counts: () => counts
  }
}

/** Lines of TAP that only hold the rest together. */
function isFrame (line) {
  return /^\s*$|^\s*(1\.\.\d|# (Subtest|time=))/.test(line)
}

function tstycheReader () {
  let counts
  return {
    line (line) {
      const totals = /^Assertions: +(.*)/.exec(line)
      if (totals) {
        const count = (name) => Number(new RegExp(`(\\d+) ${name}`).exec(totals[1])?.[1] ?? 0)
        counts = { passed: count('passed'), failed: count('failed'), skipped: count('skipped') + count('todo') }
      }
      console.log(line)
    },
    counts: () => counts
  }
}

/** Nothing to count: the stage itself is one check. */
function plainReader () {
  return { line: (line) => console.log(line), counts: () => ({ passed: 1, failed: 0, skipped: 0 }) }
}

const stages = [
  { name: 'system', script: 'setup:system' },
  { name: 'lint', script: 'lint' },
  { name: 'typecheck', script: 'typecheck' },
  { name: 'build', script: 'build' },
  { name: 'tap', script: 'test:tap', args: ['--reporter=tap', ...files], reader: tapReader },
  { name: 'types', script: 'test:types', reader: tstycheReader },
  { name: 'size', script: 'check:size', needs: 'build' },
  { name: 'unused', script: 'check:unused' },
  { name: 'package', script: 'check:package', needs: 'build' }
].filter(({ name }) => files.length === 0 || name === 'tap')

/** @returns {Promise<Counts>} */
async function run ({ script, args = [], reader = plainReader }) {
  const child = spawn('npm', ['run', '--silent', script, '--', ...args], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const { line, counts } = reader()
  createInterface({ input: child.stdout }).on('line', line)
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  const result = counts() ?? { passed: 0, failed: 0, skipped: 0 }
  if (reader === plainReader) return code === 0 ? result : { passed: 0, failed: 1, skipped: 0 }
  // A run that breaks before it can count, or that finds no tests, has failed.
  const isBroken = result.failed === 0 && (code !== 0 || result.passed === 0)
  return isBroken ? { ...result, failed: 1 } : result
}

const results = new Map()
for (const stage of stages) {
  console.log(`\n--- ${stage.name}`)
  const startedAt = performance.now()
  const isBlocked = results.get(stage.needs)?.failed > 0
  if (isBlocked) console.log(`not run: ${stage.needs} failed`)
  const counts = isBlocked ? { passed: 0, failed: 1, skipped: 0 } : await run(stage)
  results.set(stage.name, { ...counts, seconds: (performance.now() - startedAt) / 1000 })
}

const total = { passed: 0, failed: 0 }
console.log('\nstage         time  result')
for (const [name, { passed, failed, skipped, seconds }] of results) {
  total.passed += passed
  total.failed += failed
  const parts = [`${passed} passed`, failed > 0 && `${failed} FAILED`, skipped > 0 && `${skipped} skipped`]
  console.log(`${name.padEnd(10)} ${seconds.toFixed(1).padStart(5)} s  ${parts.filter(Boolean).join(', ')}`)
}
process.exitCode = total.failed > 0 ? 1 : 0
console.log(`\n${total.passed} passed, ${total.failed} failed`)
