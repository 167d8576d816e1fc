import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openReader, type Json } from './harness/reader.ts'
import { request } from './harness/request.ts'
import type { Server } from './harness/server.ts'
import { until, within } from './harness/until.ts'
import { startSocket } from './harness/web-socket.ts'

const kinds = ['revoked', 'message', 'stack', 'cause', 'code', 'detail', 'circle', 'primitive', 'null', 'undefined', 'symbol']

/** Starts the server in a process of its own, where nothing catches what the library does not. */
async function start (t: Test, logger: string): Promise<{ server: Server, alive: () => boolean, output: () => string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', fileURLToPath(new URL('harness/unloggable-server.ts', import.meta.url)), logger], { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.on('data', (piece: Buffer) => { output += piece.toString() })
  child.stderr.on('data', (piece: Buffer) => { errors += piece.toString() })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill()
    await once(child, 'exit')
  })
  const port = Number(await until(() => /^port (\d+)$/m.exec(output)?.[1], 'the server'))
  const readers = new Set<{ destroy: () => void }>()
  t.teardown(() => { for (const reader of readers) reader.destroy() })
  return {
    server: { protocol: 'http/1.1', port, origin: `http://127.0.0.1:${port}`, readers } as Server,
    alive: () => child.exitCode === null && child.signalCode === null,
    output: () => output + errors
  }
}

for (const logger of ['fastify', 'serialiser', 'throwing', 'none']) {
  t.test(`an error that cannot be logged, with the logger "${logger}"`, async (t) => {
    const { server, alive, output } = await start(t, logger)
    const reader = await openReader(server, '/live')
    await until(() => reader.controls.length > 0, 'hello')
    const post = (event: string, text: string) => request(server, '/live', { method: 'POST', headers: { 'x-tether-session': reader.session }, body: { event, data: { text } } })
    let said = 0
    const goesOn = async (what: string) => {
      t.equal((await post('say', '')).status, 202, what)
      said++
      await until(() => reader.updates.filter(({ event }) => event === 'said').length === said || !alive(), what)
      t.ok(alive(), `${what}: the process lives\n${alive() ? '' : output()}`)
    }
    for (const kind of kinds) {
      for (const event of ['fail', 'failLater', 'failInUpdate', 'failInOnError', 'failInSend']) {
        await post(event, kind)
        await goesOn(`${event}, ${kind}`)
      }
    }
    t.equal(reader.closed, false, 'the session has its stream')
    const reports = JSON.parse((await request(server, '/reports')).text) as Json
    t.same(reports.same, kinds.length * 4, 'onError got what was thrown, itself')

    if (logger === 'fastify' || logger === 'none') {
      for (const kind of kinds) {
        t.equal((await request(server, `/live?state=${kind}`)).status, 500, `initialState, ${kind}`)
        t.equal((await request(server, `/live?bind=${kind}`)).status, 500, `bind, ${kind}`)
        const answer = await request(server, `/live/say?bind=${kind}`, { method: 'POST', headers: { 'x-tether-session': reader.session }, body: { text: '' } })
        t.equal(answer.status, 500, `bind of a POST, ${kind}`)
      }
      await goesOn('after bind and initialState')
    }

    for (const kind of kinds) {
      const plain = await openReader(server, `/plain?kind=${kind}`)
      await until(() => plain.ended, `a plain stream, ${kind}`)
      const socket = startSocket(server, `/socket?state=${kind}`)
      await within(socket.opened, 'the socket')
      socket.send({ session: 'new' })
      await until(() => socket.closed, `a WebSocket, ${kind}`)
      t.match([socket.closeCode, socket.answers[0]], [1011, { status: 500, message: String }])
    }
    await goesOn('at last')
  })
}
