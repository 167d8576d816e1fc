import { inspect } from 'node:util'
import t from 'tap'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { conflate, defaults, defineContract, text, type TetherOptions } from '../../plugin/index.ts'
import { contract, silent as on } from './harness/contract.ts'

const numbers = ['12', -1, 1.5, Number.NaN, Infinity, null, [1]]

/** What is asserted of each refusal: option, value and what is allowed are in the message. */
function names (option: string, where: string, value: unknown, allowed: RegExp) {
  const escaped = inspect(value, { depth: 1, breakLength: Infinity }).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return { code: 'FST_ERR_TETHER_OPTION', message: new RegExp(`^option "${option}" of ${where.replace(/[()]/g, '\\$&')} must be .*${allowed.source}.*; got ${escaped}(\\.|$)`) }
}

async function registered (options: TetherOptions = {}) {
  const app = Fastify()
  await app.register(tether, options)
  return app
}

t.test('registering decorates the instance', async (t) => {
  const app = await registered()
  t.same(Object.keys(app.tether).sort(), ['cluster', 'drain', 'health', 'sse', 'stateful', 'stats', 'websocket'])
  t.type(app.tether.sse.upgrade(), 'function')
  t.equal(app.tether, app.tether, 'the same object each time')
  t.match(app.tether.stats(), { sessions: 0, detached: 0, pending: 0, streams: 0, bufferedBytes: 0 })
  await app.close()
})

t.test('registering twice', async (t) => {
  const twice = { code: 'FST_ERR_TETHER_ALREADY_REGISTERED', message: /already registered/ }
  t.test('on one instance', async (t) => {
    const app = await registered()
    await t.rejects(async () => { await app.register(tether) }, twice)
  })
  t.test('on an instance and a child of it', async (t) => {
    const app = await registered()
    app.register(async (child) => { await child.register(tether) })
    await t.rejects(async () => { await app.ready() }, twice)
  })
  t.test('on two children, which know nothing of each other', async (t) => {
    const app = Fastify()
    const seen: unknown[] = []
    for (const prefix of ['/one', '/two']) {
      app.register(async (child) => {
        await child.register(tether)
        seen.push(child.tether)
      }, { prefix })
    }
    await app.ready()
    t.equal(seen.length, 2)
    t.not(seen[0], seen[1])
    t.notOk(app.hasDecorator('tether'), 'and the instance above has none')
    await app.close()
  })
})

t.test('a Fastify that is too old is refused by name and version', async (t) => {
  const app = Fastify()
  // The check is Fastify's own and asks the instance for its version.
  Object.defineProperty(app, 'version', { value: '4.29.1' })
  await t.rejects(async () => { await app.register(tether) }, {
    code: 'FST_ERR_PLUGIN_VERSION_MISMATCH',
    message: /fastify-tether.*expected '5\.x' fastify version, '4\.29\.1' is installed/
  })
})

t.test('options of the plugin', async (t) => {
  const where = 'app.register(tether)'
  for (const [name, least] of [['maxSessions', 1], ['maxDetached', 0], ['maxPending', 0], ['pendingMs', 1], ['maxBufferedBytes', 1]] as const) {
    for (const value of least === 1 ? [...numbers, 0] : numbers) {
      await t.rejects(registered({ [name]: value }), names(name, where, value, new RegExp(`a whole number (of at least|from) ${least}`)), `${name}: ${String(value)}`)
    }
  }
  for (const value of ['https://a.example', ['https://a.example/'], ['https://a.example/page'], ['a.example'], ['*'], ['null'], [5], [''], {}]) {
    await t.rejects(registered({ trustedOrigins: value as never }), names('trustedOrigins', where, value, /a list of origins/), `trustedOrigins: ${inspect(value)}`)
  }
  for (const value of ['user', 5, {}, null]) {
    await t.rejects(registered({ bind: value as never }), names('bind', where, value, /a function/), `bind: ${inspect(value)}`)
  }
  await t.rejects(registered({ maxSession: 5 } as never), {
    code: 'FST_ERR_TETHER_OPTION',
    message: /^app.register\(tether\) has no option "maxSession"; it has maxSessions, .*maxDetached, .*trustedOrigins, bind.*\. Did you mean "maxSessions"\?$/
  }, 'an unknown one')
  await t.rejects(registered({ pendingMs: 2 ** 31 }), names('pendingMs', where, 2 ** 31, /from 1 to 2147483647/), 'longer than a timer can be')
  await t.resolves(registered({ maxSessions: undefined as never, maxDetached: 0, maxPending: 0, trustedOrigins: ['https://a.example:8443', 'http://[::1]:80'], bind: () => null }), 'what is allowed')
})

t.test('options of sse.upgrade', async (t) => {
  const app = await registered()
  const where = 'app.tether.sse.upgrade()'
  for (const name of ['writeBuffer', 'heartbeatMs', 'retryMs', 'stallTimeoutMs']) {
    for (const value of numbers) {
      t.throws(() => app.tether.sse.upgrade({ [name]: value }), names(name, where, value, /a whole number (of at least|from) 0/), `${name}: ${String(value)}`)
    }
    t.doesNotThrow(() => app.tether.sse.upgrade({ [name]: 0 }), `${name}: 0`)
  }
  t.throws(() => app.tether.sse.upgrade({ buffer: 1 } as never), { code: 'FST_ERR_TETHER_OPTION', message: `${where} has no option "buffer"; it has writeBuffer, heartbeatMs, retryMs, stallTimeoutMs` })
  for (const value of [null, 5, 'x', []]) {
    t.throws(() => app.tether.sse.upgrade(value as never), { code: 'FST_ERR_TETHER_OPTION', message: `${where} takes an object of options, got ${inspect(value)}` })
  }
})

t.test('options of stateful', async (t) => {
  const app = await registered()
  const where = 'app.tether.stateful()'
  const stateful = (config: object | null, url: unknown = '/live') => () => app.tether.stateful(url as string, config as never)
  const leasts = {
    commandBuffer: 1, maxEventBytes: 1, maxBatch: 1, handlerTimeoutMs: 0, idleMs: 0, maxLifetimeMs: 0, reconnectMs: 0, replayFrames: 0, replayBytes: 0, replayAgeMs: 0, queueFrames: 1, queueBytes: 1, minIntervalMs: 0
  }
  for (const [name, least] of Object.entries(leasts)) {
    for (const value of least === 1 ? [...numbers, 0] : numbers) {
      t.throws(stateful({ contract, on, [name]: value }), names(name, where, value, new RegExp(`a whole number (of at least|from) ${least}`)), `${name}: ${String(value)}`)
    }
  }
  for (const name of ['upgrade', 'fallback', 'initialState', 'onConnect', 'onDisconnect', 'onClose', 'onJoin', 'onLeave', 'onError', 'bind']) {
    for (const value of ['x', 5, {}, null]) {
      t.throws(stateful({ contract, on, [name]: value }), names(name, where, value, name.endsWith('e') || name.endsWith('k') ? /(a function|upgrade\(\) returns)/ : /a function/), `${name}: ${inspect(value)}`)
    }
  }
  t.throws(stateful({ contract, on, trustedOrigins: ['*'] }), names('trustedOrigins', where, ['*'], /a list of origins/))
  t.throws(stateful({ contract, on, onOverflow: 'explode' }), names('onOverflow', where, 'explode', /"disconnect" or "dropOldest"/))
  t.throws(stateful({ contract, on, mode: 'pigeon' }), names('mode', where, 'pigeon', /"sse", "websocket" or "both"/))
  const events = app.tether.sse.upgrade()
  const sockets = app.tether.websocket.upgrade()
  for (const [config, option, allowed] of [
    [{ upgrade: sockets }, 'upgrade', 'what app.tether.sse.upgrade\\(\\) returns in mode "sse"'],
    [{ fallback: sockets }, 'fallback', 'what app.tether.sse.upgrade\\(\\) returns in mode "sse"'],
    [{ mode: 'websocket', upgrade: events }, 'upgrade', 'what app.tether.websocket.upgrade\\(\\) returns in mode "websocket"'],
    [{ mode: 'websocket', fallback: events }, 'fallback', 'left out in mode "websocket"'],
    [{ mode: 'both', upgrade: events }, 'upgrade', 'what app.tether.websocket.upgrade\\(\\) returns in mode "both"'],
    [{ mode: 'both', fallback: sockets }, 'fallback', 'what app.tether.sse.upgrade\\(\\) returns in mode "both"']
  ] as const) {
    t.throws(stateful({ contract, on, ...config }), { code: 'FST_ERR_TETHER_OPTION', message: new RegExp(`^option "${option}" of app.tether.stateful\\(\\) must be ${allowed}$`) }, JSON.stringify(config))
  }
  for (const mode of ['sse', 'both', 'websocket'] as const) {
    const maker = mode === 'sse' ? 'app.tether.sse.upgrade' : 'app.tether.websocket.upgrade'
    const wrapper = (...given: Parameters<typeof events>) => events(...given)
    for (const upgrade of [app.tether.sse.upgrade, app.tether.websocket.upgrade]) {
      const name = upgrade === app.tether.sse.upgrade ? 'app.tether.sse.upgrade' : 'app.tether.websocket.upgrade'
      t.throws(stateful({ contract, on, mode, upgrade }), { code: 'FST_ERR_TETHER_OPTION', message: `option "upgrade" of ${where} must be what ${maker}() returns in mode "${mode}"; got ${name} itself: call it, ${maker}()` })
    }
    for (const upgrade of [() => {}, async () => null, wrapper, class {}]) {
      t.throws(stateful({ contract, on, mode, upgrade }), { code: 'FST_ERR_TETHER_OPTION', message: `option "upgrade" of ${where} must be what ${maker}() returns in mode "${mode}"; got another function. Call ${maker}(), and give what it returns` })
    }
    if (mode === 'websocket') continue
    t.throws(stateful({ contract, on, mode, fallback: app.tether.sse.upgrade }), { code: 'FST_ERR_TETHER_OPTION', message: /"fallback" .* app.tether.sse.upgrade itself: call it/ })
    t.throws(stateful({ contract, on, mode, fallback: wrapper }), { code: 'FST_ERR_TETHER_OPTION', message: /"fallback" .* another function/ })
  }
  await app.register(async (child) => {
    t.throws(stateful({ contract, on, upgrade: child.tether.sse.upgrade }), { message: /itself: call it/ }, 'of a child')
  })
  t.throws(() => (app.tether.sse.upgrade as Function)({}, {}), { code: 'FST_ERR_TETHER_OPTION', message: /^app.tether.sse.upgrade\(\) takes .* call it once/ }, 'in place of what it returns')
  t.throws(stateful({ contract, on: { ...on, onConnect: () => {} } }), { message: /"onConnect", which is no event of its contract\. "onConnect" belongs to app.tether.stateful\(\), beside "on"$/ })
  t.throws(stateful({ contract, on: { ...on, pin: () => {} } }), { message: /"pin", which is no event of its contract\. Did you mean "ping"\?$/ })
  t.throws(stateful({ contract, ...on }), { message: /has no option "ping"; .*\. "ping" is an event: its handler belongs in "on"$/ })
  t.throws(stateful({ contract, on, onConnected: () => {} }), { code: 'FST_ERR_TETHER_OPTION', message: /has no option "onConnected"; it has contract, mode, upgrade, .*onConnect/ })
  t.throws(stateful({ contract, on, maxBatch: 9, commandBuffer: 8 }), { code: 'FST_ERR_TETHER_OPTION', message: /option "maxBatch".* must be at most commandBuffer, 8, .*got 9$/ })

  t.throws(stateful({ on }), { code: 'FST_ERR_TETHER_OPTION', message: /needs option "contract": what defineContract\(\) returns/ })
  for (const value of ['x', {}, { events: {} }, null]) t.throws(stateful({ contract: value, on }), names('contract', where, value, /what defineContract\(\) returns/), `contract: ${inspect(value)}`)
  t.throws(stateful({ contarct: contract, on }), { message: /has no option "contarct"; .*\. Did you mean "contract"\?$/ })
  t.throws(stateful({ contract }), { code: 'FST_ERR_TETHER_OPTION', message: /"on" .*no handler for event "ping"/ })
  t.throws(stateful({ contract, on: {} }), { code: 'FST_ERR_TETHER_OPTION', message: /"on" .*no handler for event "ping"/ })
  t.throws(stateful({ contract, on: { ...on, other: () => {} } }), { code: 'FST_ERR_TETHER_OPTION', message: /"on" .*handler for "other", which is no event/ })
  for (const value of [5, 'x', null]) t.throws(stateful({ contract, on: { ...on, ping: value } }), { code: 'FST_ERR_TETHER_OPTION', message: /option "on" of .* a handler for each event/ }, `on.ping: ${inspect(value)}`)
  for (const value of [null, 5, 'x', []]) t.throws(stateful(value as never), { code: 'FST_ERR_TETHER_OPTION', message: `${where} takes an object of options, got ${inspect(value)}` })
  for (const url of [undefined, 5, null, {}, '', 'live', '*', '/live/*', '/live/:id?', '/live/:id?/', ' /live']) t.throws(() => app.tether.stateful(url as never, { contract, on }), { code: 'FST_ERR_TETHER_OPTION', message: /first argument .* must be a URL path/ })

  await app.ready()
  t.notOk(app.hasRoute({ method: 'GET', url: '/live' }), 'no refused configuration left a route behind')
  await app.close()
})

t.test('options of drain', async (t) => {
  const app = await registered()
  for (const name of ['timeoutMs', 'retryMs', 'spreadMs']) {
    for (const value of numbers) await t.rejects(app.tether.drain({ [name]: value }), names(name, 'app.tether.drain()', value, /a whole number from 0/), `${name}: ${String(value)}`)
  }
  await t.rejects(app.tether.drain({ timeout: 1 } as never), { code: 'FST_ERR_TETHER_OPTION', message: 'app.tether.drain() has no option "timeout"; it has timeoutMs, retryMs, spreadMs' })
  await app.close()
})

t.test('contracts', async (t) => {
  const code = 'FST_ERR_TETHER_CONTRACT'
  const schema = Type.Object({})
  const badNames = ['', 'a b', 'a\nb', 'ä', 'a/b', 'a:b', 'x'.repeat(65), 'open', 'error', 'message', 'tether', 'tether.close', 'tetherless', '__proto__', 'constructor', 'toString', 'prototype', 'hasOwnProperty']
  for (const name of badNames) {
    // `{ __proto__: x }` sets the prototype; only a computed key makes a property of it.
    t.throws(() => defineContract({ events: { [name]: schema } as never }), { code, message: /^the event name / }, `event ${inspect(name)}`)
    t.throws(() => defineContract({ updates: { [name]: schema } as never }), { code, message: /^the update name / }, `update ${inspect(name)}`)
  }
  for (const name of ['a', 'range.set', 'A-1_b', 'x'.repeat(64), '0', 'opened', 'errors', 'Tether']) {
    t.doesNotThrow(() => defineContract({ events: { [name]: schema } as never, updates: { [name]: schema } as never }), `${name} is allowed`)
  }
  t.throws(() => defineContract({ events: { a: text() as never } }), { code }, 'an update as an event')
  t.throws(() => defineContract({ events: { a: conflate(schema) as never } }), { code })
  for (const value of [null, 5, 'string', []]) {
    t.throws(() => defineContract({ events: { a: value as never } }), { code }, `event: ${inspect(value)}`)
    t.throws(() => defineContract({ updates: { a: value as never } }), { code }, `update: ${inspect(value)}`)
    t.throws(() => defineContract(value as never), { code }, `contract: ${inspect(value)}`)
    t.throws(() => conflate(value as never), { code })
  }
  t.throws(() => defineContract({ commands: {} } as never), { code, message: /no part "commands", only "events", "updates" and "topics"$/ })
  t.throws(() => defineContract({ event: {} } as never), { code, message: /no part "event", .*\. Did you mean "events"\?$/ })
  t.throws(() => conflate(conflate(schema) as never), { code })
  t.throws(() => conflate(schema, 'series' as never), { code })
  t.ok(Object.isFrozen(defineContract({})) && Object.isFrozen(defineContract({ events: { a: schema } }).events), 'a contract is frozen')

  const app = await registered()
  for (const name of ['a\nid: x', 'error', 'tether']) {
    t.throws(() => app.tether.stateful('/live', { contract: { events: {}, updates: { [name]: schema } }, on: {} }), { code, message: /update name/ }, `put together by hand, with the name ${inspect(name)}`)
  }
  const broken = Type.Object({ a: Type.String({ pattern: '(' }) })
  t.throws(() => app.tether.stateful('/live', { contract: defineContract({ events: { a: broken } }), on: { a: () => {} } }), { code, message: /schema of event "a" cannot be compiled/ })
  const dangling = Type.Unsafe<object>({ $ref: '#/nowhere' })
  t.throws(() => app.tether.stateful('/live', { contract: defineContract({ updates: { a: dangling } }), on: {} }), { code, message: /schema of update "a" cannot be compiled/ })
  await app.close()
})

t.test('one frozen table holds every default', async (t) => {
  for (const part of [defaults, ...Object.values(defaults)]) t.ok(Object.isFrozen(part))
  t.match(defaults, {
    upgrade: { writeBuffer: 4, heartbeatMs: 20_000, retryMs: 1_000, stallTimeoutMs: 30_000 },
    stateful: {
      commandBuffer: 64, maxEventBytes: 65_536, maxBatch: 32, handlerTimeoutMs: 30_000, idleMs: 0, maxLifetimeMs: 0, reconnectMs: 30_000, replayFrames: 256, replayBytes: 262_144, replayAgeMs: 60_000, queueFrames: 1_024, queueBytes: 1_048_576, onOverflow: 'disconnect'
    },
    plugin: { maxSessions: 10_000, maxDetachedShare: 0.25, maxPending: 128, pendingMs: 30_000, maxBufferedBytes: 268_435_456 }
  })
})
