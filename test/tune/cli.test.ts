import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startLimited } from './harness/limited-server.ts'
import { runTune } from './harness/run-tune.ts'

t.test('what is wrong is refused by name, with exit code 2 and without a stack', async (t) => {
  const rows: Array<[string[], RegExp]> = [
    [['tine'], /there is no command "tine"/],
    [['tune', '--url', 'http://example.com/live', '--events', 'EVENTS'], /--i-own-this example\.com/],
    [['tune', '--url', 'http://127.0.0.1:1/live', '--events', 'nowhere.ndjson'], /--events: nowhere\.ndjson cannot be read/],
    [['tune', '--url', 'http://127.0.0.1:1/live', '--events', 'EVENTS', '--compare', 'EVENTS'], /--compare: .* was not written by --json/]
  ]
  for (const [words, message] of rows) {
    const run = runTune(t, words)
    t.equal(await run.ended, 2, words.join(' '))
    t.match(run.output(), message)
    t.notMatch(run.output(), /\n {4}at /)
  }
})

t.test('a server that is not there is cannot-tell', async (t) => {
  const run = runTune(t, ['tune', '--url', 'http://127.0.0.1:1/live', '--events', 'EVENTS', '--quick', '--json', 'JSON'])
  t.equal(await run.ended, 2)
  t.match(run.output(), /ECONNREFUSED/)
  t.equal(run.results()!.capacity, null)
})

t.test('a run within --max-clients, from the outside and from within', async (t) => {
  // Events from the server's own document, with what its hooks ask for.
  const url = await startLimited(t, { waitMs: 5, swagger: true, token: 'Bearer good', broadcastsPerSecond: 20 })
  const run = runTune(t, ['tune', '--url', url, '--events', '/openapi.json', '--headers', 'authorization: Bearer good', '--max-clients', '6', '--rate', '5', '--slo', 'p99=8s', '--slo', 'p50=4s', '--quick', '--minutes', '0.4', '--json', 'JSON', '--out', 'OUT'])
  const code = await run.ended
  const results = run.results()!
  t.strictSame([code, results.verdict, results.limit, results.outside], [0, 'meets', 'none-found', null], run.output())
  t.ok(results.steps.every(({ clients, server }) => clients <= 6 && server!.streams <= 6), 'the probe is one of them')
  t.match(results.capacity, { clients: 6, eventsPerSecond: { atLeast: true } })
  t.ok(Math.abs(results.capacity!.eventsPerSecond.estimate / 30 - 1) < 0.1, `${results.capacity!.eventsPerSecond.estimate}`)
  t.ok(results.steps.every(({ statuses }) => Object.keys(statuses).every((status) => status === '202')))
  const handled = results.steps.at(-1)!.handled
  t.ok(handled.max! >= 4.8 && handled.count > 3, `handlers took up to ${handled.max} ms`)
  t.strictSame(readdirSync(join(run.folder, 'out')).sort(), ['answer.hgrm', 'handled.hgrm', 'ping.hgrm', 'report.html', 'summary.md', 'tune.json'])
  const page = readFileSync(join(run.folder, 'out/report.html'), 'utf8')
  t.match(page, /<h1>The objectives hold\. At p99=8s, p50=4s the server bears at least 6 clients/)
  t.notMatch(page, /<(script|link|img)[^>]+(src|href)=/, 'needs no other file')
  t.match(readFileSync(join(run.folder, 'out/summary.md'), 'utf8'), /\| p99=8s \| at least /)
  t.match(readFileSync(join(run.folder, 'out/answer.hgrm'), 'utf8'), /#\[Mean/)
})

t.test('Ctrl-C keeps what was measured', async (t) => {
  const url = await startLimited(t, { cpuMs: 1 })
  const run = runTune(t, ['tune', '--url', url, '--events', 'EVENTS', '--quick', '--json', 'JSON'])
  const started = Date.now()
  while (!run.output().includes('ramp') && Date.now() - started < 60_000) await new Promise((resolve) => setTimeout(resolve, 50))
  run.child.kill('SIGINT')
  t.equal(await run.ended, 2)
  t.match(run.output(), /The run was ended early/)
  const results = run.results()!
  t.equal(results.complete, false)
  t.ok(results.steps.length >= 1)
})

t.test('it stops at 5xx', async (t) => {
  const url = await startLimited(t, { failAfter: 30, hasFigures: false })
  const run = runTune(t, ['tune', '--url', url, '--events', 'EVENTS', '--quick', '--json', 'JSON'])
  t.equal(await run.ended, 2)
  t.match(run.output(), /answered \d+ % of the events with 5xx\. The run stopped/)
  t.match(run.output(), /From outside only: the server has no route tether\.tuning/)
  t.ok(!existsSync(join(run.folder, 'tether-tune')), 'no folder beside --json')
})

t.test('events that do not fit the contract end the run at once, with a hint', async (t) => {
  const url = await startLimited(t, {})
  const run = runTune(t, ['tune', '--url', url, '--events', 'EVENTS', '--quick', '--json', 'JSON'], '{"event":"nope","data":{}}')
  t.equal(await run.ended, 2)
  t.match(run.output(), /refused 100 % of the events \(400\): do the events fit the contract/)
})
