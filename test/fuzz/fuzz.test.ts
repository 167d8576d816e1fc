import t from 'tap'
import { until } from '../e2e/harness/until.ts'
import { effort } from '../harness/effort.ts'
import { Fuzzer } from './harness/fuzzer.ts'
import { FuzzedServer, type FuzzReport } from './harness/server-process.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_260_731)
const requests = Number(process.env.FUZZ_REQUESTS ?? 30_000 * effort)
const workers = 12

t.test('mutated requests: no crash, no 5xx, nothing left behind', async (t) => {
  const server = await FuzzedServer.start()
  t.teardown(() => server.stop())
  const fuzzer = new Fuzzer(server.port)
  t.teardown(() => fuzzer.close())
  const all = (upTo: number, round: number) => Promise.all(Array.from({ length: workers }, (_, worker) => fuzzer.work(seed + round, worker, upTo)))

  // What is compiled and cached once is there from here on.
  await all(requests / 10, 0)
  const before = await server.report()
  await all(requests, 1)
  t.same(fuzzer.faults, [], `seed ${seed}`)
  fuzzer.close()

  const { counts } = fuzzer
  t.comment(`seed ${seed}; ${JSON.stringify(counts)}`)
  t.ok(counts.requests >= requests, `${counts.requests} requests`)
  t.ok(counts.streams > 0.03 * counts.requests, `${counts.streams} streams`)
  t.ok(counts.broken > 0.02 * counts.requests, `${counts.broken} broken requests`)
  for (const status of [200, 202, 204, 400, 403, 404, 406, 409, 410, 413, 415]) t.ok(counts.statuses[status]! > 0, `${counts.statuses[status]} times ${status}`)

  let report: FuzzReport = before
  const deadline = performance.now() + 60_000
  do {
    await new Promise((resolve) => setTimeout(resolve, 50))
    report = await server.report()
  } while (performance.now() < deadline && report.sessions + report.streams + report.pending > 0)
  t.match(report, { sessions: 0, streams: 0, pending: 0, groups: 0, bufferedBytes: 0 }, 'nothing is left behind')
  t.same(report.complaints, [], 'nothing is unhandled, nothing is logged as an error')
  t.equal(report.handled, report.eventsAccepted, 'every event that was accepted ran')
  t.ok(report.handled > 0.02 * requests, `${report.handled} events`)
  const grown = report.heapUsed - before.heapUsed
  t.ok(grown < 16 * 1024 * 1024, `the heap grew by ${Math.round(grown / 1024)} KB`)

  const code = await server.stop()
  await until(() => !server.isAlive, 'the end of the server')
  t.equal(code, 0, 'it stops when it is told to')
})
