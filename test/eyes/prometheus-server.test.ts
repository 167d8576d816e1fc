// A real Prometheus scrapes an application, takes the rules of docs/, and answers the queries of the dashboard.
import { execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Registry } from 'prom-client'
import t from 'tap'
import { memory } from '../../plugin/entries/memory.ts'
import { prometheus } from '../../plugin/entries/metrics.ts'
import { startLive } from '../e2e/harness/live.ts'
import { freePort } from '../harness/free-port.ts'

const program = process.env.PROMETHEUS_PATH ?? '/usr/bin/prometheus'
const promtool = join(dirname(program), 'promtool')
const rules = fileURLToPath(new URL('../../docs/prometheus-alerts.yml', import.meta.url))
const dashboard = JSON.parse(readFileSync(new URL('../../docs/grafana-dashboard.json', import.meta.url), 'utf8')) as { panels: Array<{ targets?: Array<{ expr: string }> }> }
const run = promisify(execFile)
const isThere = existsSync(program) && existsSync(promtool)
const skip = isThere ? false : `no ${program} and ${promtool}`

t.test('promtool finds no fault in the rules, and they fire when they should', { skip }, async (t) => {
  const { stdout } = await run(promtool, ['check', 'rules', rules])
  t.match(stdout, /SUCCESS: 13 rules found/)
  const labels = 'job="app",instance="a"'
  const url = 'url="/live"'
  const series: Record<string, string> = {
    // What is wrong from the 30th minute on.
    [`tether_sessions_blocked{${labels},${url}}`]: '0x30 200x60',
    [`tether_sessions{${labels},${url},state="connected"}`]: '100x30 950x60',
    [`tether_sessions_limit{${labels}}`]: '1000x90',
    [`tether_disconnects_total{${labels},${url},outcome="overflow"}`]: '0x30 0+1x60',
    [`tether_disconnects_total{${labels},${url},outcome="stalled"}`]: '0x30 0+10x60',
    [`tether_updates_total{${labels},${url},update="cpu",outcome="dropped"}`]: '0x30 0+5x60',
    [`tether_session_refusals_total{${labels},outcome="maxSessions"}`]: '0x30 0+5x60',
    [`tether_buffered_memory_bytes{${labels}}`]: '10x30 90x60',
    [`tether_buffered_memory_limit_bytes{${labels}}`]: '100x90',
    [`tether_handler_errors_total{${labels},${url}}`]: '0x30 0+60x60',
    [`tether_command_duration_seconds_bucket{${labels},${url},command="say",outcome="ok",le="1"}`]: '0+60x30 1800x60',
    [`tether_command_duration_seconds_bucket{${labels},${url},command="say",outcome="ok",le="5"}`]: '0+60x90',
    [`tether_command_duration_seconds_bucket{${labels},${url},command="say",outcome="ok",le="+Inf"}`]: '0+60x90',
    [`tether_command_wait_seconds_bucket{${labels},${url},le="1"}`]: '0+60x30 1800x60',
    [`tether_command_wait_seconds_bucket{${labels},${url},le="5"}`]: '0+60x90',
    [`tether_command_wait_seconds_bucket{${labels},${url},le="+Inf"}`]: '0+60x90',
    [`tether_cluster_lag_seconds{${labels}}`]: '0.001x30 3x60',
    [`tether_cluster_status{${labels},state="isolated"}`]: '0x30 1x60',
    [`tether_cluster_losses_total{${labels}}`]: '0x30 0+1x60'
  }
  const alerts = [...readFileSync(rules, 'utf8').matchAll(/alert: (\w+)\n\s+expr: (.*)/g)].map(([, alert, expression]) => ({ alert: alert!, expression: expression! }))
  const quoted = (text: string) => JSON.stringify(text)
  const file = join(t.testdir(), 'rules.test.yml')
  // `absent` of an alert would need its labels: the expression itself is asked instead.
  writeFileSync(file, `rule_files: [${quoted(rules)}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
${Object.entries(series).map(([name, values]) => `      - { series: ${quoted(name)}, values: ${quoted(values)} }`).join('\n')}
    promql_expr_test:
${alerts.flatMap(({ alert }) => [`      - { expr: ${quoted(`count(ALERTS{alertname="${alert}",alertstate="firing"})`)}, eval_time: 29m, exp_samples: [] }`, `      - { expr: ${quoted(`count(ALERTS{alertname="${alert}",alertstate="firing"}) > bool 0`)}, eval_time: 55m, exp_samples: [{ labels: "{}", value: 1 }] }`]).join('\n')}
`)
  const tested = await run(promtool, ['test', 'rules', file]).catch((error: { stdout: string, stderr: string }) => ({ stdout: error.stdout + error.stderr }))
  t.match(tested.stdout, /SUCCESS/, tested.stdout)
})

t.test('Prometheus scrapes an application, and understands each query', { skip }, async (t) => {
  const register = new Registry()
  const server = await startLive(t, {
    tether: { cluster: memory() },
    setup: (app) => {
      prometheus(app, { register })
      app.get('/metrics', async (_request, reply) => {
        reply.type(register.contentType)
        return register.metrics()
      })
    }
  })
  const { reader, session } = await server.connect()
  session.send('note', { text: 'hello' })
  const port = await freePort()
  const directory = t.testdir({
    'prometheus.yml': `global: { scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }
rule_files: [${JSON.stringify(rules)}]
scrape_configs: [{ job_name: app, static_configs: [{ targets: ["127.0.0.1:${server.port}"] }] }]
`
  })
  const child = spawn(program, [`--config.file=${directory}/prometheus.yml`, `--storage.tsdb.path=${directory}/data`, `--web.listen-address=127.0.0.1:${port}`], { stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => { output += text })
  const ended = new Promise((resolve) => child.once('close', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const query = async (expression: string): Promise<{ status: string, error?: string, data: { result: Array<{ metric: Record<string, string>, value: [number, string] }> } }> => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expression }) })
    return await answer.json() as never
  }
  const deadline = performance.now() + 60_000
  const asked = async (expression: string): Promise<Array<{ metric: Record<string, string>, value: [number, string] }>> => {
    for (;;) {
      const found = await query(expression).catch(() => null)
      if (found?.status === 'success' && found.data.result.length > 0) return found.data.result
      if (performance.now() > deadline) throw new Error(`waited in vain for ${expression}: ${output}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  t.match(await asked('tether_server_active_connections > 0'), [{ metric: { url: '/live', transport: 'http/1.1', job: 'app' }, value: [Number, '1'] }])
  t.match(await asked('tether_updates_total{update="note", outcome="written"} > 0'), [{ metric: { url: '/live' } }])
  t.match(await asked('tether_sessions_limit'), [{ value: [Number, '10000'] }])
  reader.destroy()
  t.match(await asked('histogram_quantile(0.5, sum by (url, le) (tether_server_connection_duration_seconds_bucket))'), [{ metric: { url: '/live' } }])

  const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m').replace(/\$(job|instance|url)/g, '.*')))
  t.ok(queries.length > 25)
  for (const expression of queries) t.match(await query(expression), { status: 'success' }, expression)
  // A figure without a rate must be there.
  for (const expression of queries.filter((text) => !/rate|quantile/.test(text))) t.ok((await asked(expression)).length > 0, expression)
  const loaded = await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json() as { data: { groups: Array<{ rules: Array<{ health: string, name: string }> }> } }
  t.equal(loaded.data.groups.flatMap((group) => group.rules).length, 13)
})
