import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { ClientError, connect, type ConnectOptions, type LinkFactory } from '../../client/index.ts'
import { EventError } from '../../plugin/index.ts'
import { sseLink } from '../../client/sse-link.ts'
import { startLink } from '../e2e/harness/link.ts'
import { startTopics, type contract, type TopicsConfig } from '../e2e/harness/topics.ts'
import { turns, until } from '../e2e/harness/until.ts'
import { hello, open, startStreams } from './stream-server.ts'

interface Sent { event: string, data: any, seq: number }

/** A server whose contract has topics, and a client of it, through a network that can fail. */
async function start (t: Test, config: TopicsConfig = {}, options: ConnectOptions<typeof contract> = {}) {
  const server = await startTopics(t, config)
  const network = await startLink(t, server)
  /** Events of each POST that was answered. */
  const posts: Sent[][] = []
  const client = connect<typeof contract>(`http://127.0.0.1:${network.port}/live`, {
    retryMs: 20,
    retryMaxMs: 100,
    ...options,
    fetch: async (url, init = {}) => {
      const response = await fetch(url, init)
      if (init.method === 'POST' && typeof init.body === 'string') posts.push([JSON.parse(init.body)].flat())
      return response
    }
  })
  t.teardown(() => client.close())
  const verdicts: unknown[] = []
  client.onState((state, { verdict }) => { if (state === 'open') verdicts.push(verdict) })
  const session = () => until(() => client.session === undefined ? undefined : server.live.get(client.session), 'the session')
  return { ...server, network, client, posts, session, verdicts }
}

t.test('a subscription gets the retained values, then what is published', async (t) => {
  const { client, live, posts } = await start(t)
  const published = live.topic('host', { id: 'a' })
  published.publish('cpu', { core: 0, v: 1 })
  published.publish('cpu', { core: 1, v: 2 })
  const got: unknown[] = []
  const host = client.subscribe('host', { id: 'a' })
  host.on('cpu', ({ core, v }) => got.push([core, v]))
  const off = host.on('alert', (text) => got.push(text))
  await host.ready
  t.strictSame(got, [[0, 1], [1, 2]])
  t.strictSame(posts, [[{ event: 'tether.subscribe', data: { topic: 'host', params: { id: 'a' } }, seq: 1 }]])
  published.publish('cpu', { core: 0, v: 3 })
  published.publish('alert', '{"text":1}')
  await until(() => got.length === 4, 'the updates')
  t.strictSame(got.slice(2), [[0, 3], '{"text":1}'], 'a text is not read as JSON')
  off()
  published.publish('alert', 'x')
  published.publish('cpu', { core: 0, v: 4 })
  await until(() => got.length === 5, 'the last update')
  t.strictSame(got.at(-1), [0, 4])
  host.close()
  host.close()
  await until(() => published.size === 0, 'the end')
  await until(() => posts.length === 2, 'the answer')
  host.on('cpu', () => t.fail('a listener of a closed subscription'))
})

t.test('subscriptions to one topic are one for the server', async (t) => {
  const { client, live, posts } = await start(t)
  const published = live.topic('host', { id: 'a', zone: 'z' })
  const [one, two] = [client.subscribe('host', { id: 'a', zone: 'z' }), client.subscribe('host', { zone: 'z', id: 'a' })]
  const got: unknown[] = []
  one.on('log', (line) => got.push(`one ${line}`))
  two.on('log', (line) => got.push(`two ${line}`))
  await Promise.all([one.ready, two.ready])
  t.strictSame(posts.map(({ length }) => length), [1])
  published.publish('log', 'x')
  await until(() => got.length === 2, 'both')
  one.close()
  published.publish('log', 'y')
  await until(() => got.length === 3, 'the second alone')
  t.strictSame(got, ['one x', 'two x', 'two y'])
  t.equal(posts.length, 1)
  // As React does with components in StrictMode.
  two.close()
  const three = client.subscribe('host', { id: 'a', zone: 'z' })
  await turns()
  t.equal(published.size, 1)
  three.on('log', (line) => got.push(`three ${line}`))
  await three.ready
  t.notOk(posts.flat().some(({ event }) => event === 'tether.unsubscribe'))
  three.close()
  await until(() => published.size === 0, 'the end')
})

t.test('a later subscription to a topic gets the retained values, too', async (t) => {
  const { client, live } = await start(t)
  live.topic('host', { id: 'a' }).publish('cpu', { core: 0, v: 1 })
  const one = client.subscribe('host', { id: 'a' })
  await one.ready
  const got: number[] = []
  const two = client.subscribe('host', { id: 'a' })
  two.on('cpu', ({ v }) => got.push(v))
  await two.ready
  t.strictSame(got, [1])
  t.equal(live.topic('host', { id: 'a' }).size, 1)
})

t.test('a later use gets the retained values, and those before it do not get them again', async (t) => {
  const { client, live } = await start(t)
  const host = live.topic('host', { id: 'a' })
  host.publish('cpu', { core: 0, v: 1 })
  host.publish('cpu', { core: 1, v: 2 })
  const open = () => {
    const subscription = client.subscribe('host', { id: 'a' })
    const got: number[] = []
    subscription.on('cpu', ({ v }) => got.push(v))
    return { got, subscription, ready: subscription.ready }
  }
  const first = open()
  const twin = open()
  await first.ready
  const later = open()
  await later.ready
  t.strictSame([first.got, twin.got, later.got], [[1, 2], [1, 2], [1, 2]])
  host.publish('cpu', { core: 0, v: 3 })
  await until(() => later.got.length === 3, 'the update')
  t.strictSame([first.got, twin.got, later.got], [[1, 2, 3], [1, 2, 3], [1, 2, 3]], 'all get each update')
  first.subscription.close()
  const last = open()
  await last.ready
  t.strictSame([twin.got, later.got, last.got], [[1, 2, 3], [1, 2, 3], [2, 3]])
})

t.test('updates that wait beside the retained values of a later use reach all', async (t) => {
  let handled = () => {}
  // What is published in one interval waits in one queue, where newer values replace older ones of their key.
  const { client, live } = await start(t, { minIntervalMs: 300, on: { say: () => { handled() } } })
  const host = live.topic('host', { id: 'a' })
  const use = () => {
    const got: unknown[] = []
    const subscription = client.subscribe('host', { id: 'a' })
    subscription.on('cpu', ({ v }) => got.push(v))
    subscription.on('log', (line) => got.push(line))
    return { got, ready: subscription.ready }
  }
  const first = use()
  await first.ready
  host.publish('cpu', { core: 0, v: 1 })
  host.publish('log', 'before')
  host.publish('cpu', { core: 0, v: 2 })
  const second = use()
  client.emit('say', { text: 'behind the subscription' })
  await new Promise<void>((resolve) => { handled = resolve })
  host.publish('cpu', { core: 0, v: 3 })
  host.publish('log', 'behind')
  await second.ready
  await until(() => first.got.at(-1) === 'behind' && second.got.at(-1) === 'behind', 'all')
  t.strictSame(first.got, [1, 'before', 2, 3, 'behind'])
  t.strictSame(second.got, [1, 'before', 2, 2, 3, 'behind'])
})

for (const { verdict, whole } of [{ verdict: 'resumed', whole: false }, { verdict: 'gap', whole: true }]) {
  t.test(`a line that breaks among the values of a later use, with the verdict ${verdict}`, async (t) => {
    const update = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
    const outcome = update('tether.topic', { topic: 'all', params: {}, name: 'all', ok: true })
    const [one, two] = [update('tick@all', 1), update('tick@all', 2)]
    let stream!: ServerResponse
    const { url } = await startStreams(t, (response, method, number, { body }) => {
      if (method === 'GET') {
        stream = response
        open(response, number === 1 ? hello() : hello({ verdict, seq: whole ? 6 : 5 }) + (whole ? one : '') + two + outcome)
        return
      }
      response.writeHead(202, { 'content-type': 'application/json' }).end(JSON.stringify({ accepted: body.seq }))
      stream.write(number === 1 ? one + two + outcome : update('tether.values', { name: 'all' }) + one)
    })
    const client = connect<typeof contract>(url, { retryMs: 10 })
    t.teardown(() => client.close())
    const use = (got: number[] = []) => {
      const subscription = client.subscribe('all')
      subscription.on('tick', (value) => got.push(value))
      return { got, ready: subscription.ready }
    }
    const first = use()
    await first.ready
    const later = use()
    await until(() => later.got.length === 1, 'the value before the break')
    stream.destroy()
    await later.ready
    t.strictSame([first.got, later.got], whole ? [[1, 2, 1, 2], [1, 1, 2]] : [[1, 2], [1, 2]])
  })
}

t.test('the names of the server count: defaults are filled in there', async (t) => {
  const { client, live, posts } = await start(t)
  const published = live.topic('page', {} as never)
  published.publish('row', 'retained')
  const got: string[] = []
  const pages = [client.subscribe('page', {} as never), client.subscribe('page', { size: 10 } as never), client.subscribe('page', { dark: false, size: 10 })]
  for (const [index, page] of pages.entries()) page.on('row', (row) => got.push(`${index} ${row}`))
  await Promise.all(pages.map(({ ready }) => ready))
  t.strictSame([...new Set(got)].sort(), ['0 retained', '1 retained', '2 retained'])
  got.length = 0
  published.publish('row', 'live')
  await until(() => got.length >= 3, 'the update')
  await turns()
  t.strictSame(got.sort(), ['0 live', '1 live', '2 live'])
  pages[0]!.close()
  pages[1]!.close()
  await turns()
  t.equal(published.size, 1, 'the third still uses the topic')
  t.notOk(posts.flat().some(({ event }) => event === 'tether.unsubscribe'))
  pages[2]!.close()
  await until(() => published.size === 0, 'the end')
})

t.test('a page of 60 widgets is one request, with authorize of any length', async (t) => {
  let running = 0
  let most = 0
  const { client, live, posts, session, verdicts } = await start(t, {
    topics: {
      host: {
        authorize: async () => {
          most = Math.max(most, ++running)
          await turns()
          running--
          return true
        }
      }
    }
  })
  const widgets = Array.from({ length: 60 }, (_, index) => client.subscribe('host', { id: String(index) }))
  await Promise.all(widgets.map(({ ready }) => ready))
  t.strictSame(posts.map(({ length }) => length), [60])
  t.equal(most, 60, 'all at the same time')
  t.equal(live.stats.subscriptions, 60)
  const first = widgets[0]!.ready
  ;(await session()).close('closed', { reconnect: true })
  await until(() => verdicts.length === 2, 'a new session')
  await until(() => live.stats.subscriptions === 60 && posts.length === 2, 'all again')
  t.strictSame(posts.map(({ length }) => length), [60, 60])
  t.not(widgets[0]!.ready, first, 'another promise')
  await widgets[0]!.ready
})

for (const order of ['all at once', 'one after the other']) {
  t.test(`a page of 60 widgets changes its parameters ${order}`, async (t) => {
    let running = 0
    let most = 0
    const { client, live, posts } = await start(t, {
      topics: {
        host: {
          authorize: async () => {
            most = Math.max(most, ++running)
            await turns()
            running--
            return true
          }
        }
      }
    })
    const show = (zone: string) => Array.from({ length: 60 }, (_, index) => () => client.subscribe('host', { id: String(index), zone }))
    const before = show('a').map((open) => open())
    await Promise.all(before.map(({ ready }) => ready))
    most = 0
    // React ends all before it begins any; Vue and Svelte change one component after the other.
    if (order === 'all at once') for (const host of before) host.close()
    const after = show('b').map((open, index) => {
      before[index]!.close()
      return open()
    })
    await Promise.all(after.map(({ ready }) => ready))
    t.equal(live.stats.subscriptions, 60)
    t.strictSame([...live.topics].filter(({ name }) => name.endsWith('zone=a')), [])
    t.ok(most > 1, 'authorised at the same time')
    t.strictSame(posts.map(({ length }) => length), [60, 64, 56])
  })
}

t.test('the same parameters in another spelling keep the subscription', async (t) => {
  const { client, live } = await start(t)
  const spelled = client.subscribe('page', { size: 10, dark: false })
  await spelled.ready
  spelled.close()
  const short = client.subscribe('page', {} as never)
  const got: unknown[] = []
  short.on('row', (row) => got.push(row))
  await short.ready
  await client.emit('say', { text: 'behind all' })
  live.topic('page', { size: 10, dark: false }).publish('row', 'x')
  await until(() => got.length === 1, 'the update')
})

t.test('the end of another spelling before the outcome keeps the subscription, too', async (t) => {
  const { client, live } = await start(t)
  const spelled = client.subscribe('page', { size: 10, dark: false })
  await spelled.ready
  const short = client.subscribe('page', {} as never)
  const got: unknown[] = []
  short.on('row', (row) => got.push(row))
  spelled.close()
  await short.ready
  await client.emit('say', { text: 'behind all' })
  t.equal(live.stats.subscriptions, 1)
  live.topic('page', { size: 10, dark: false }).publish('row', 'x')
  await until(() => got.length === 1, 'the update')
  short.close()
  await until(() => live.stats.subscriptions === 0, 'the end')
})

t.test('a cut line resumes, and nothing is subscribed again', async (t) => {
  const { client, live, network, posts, verdicts } = await start(t)
  const got: string[] = []
  const host = client.subscribe('host', { id: 'a' })
  host.on('log', (line) => got.push(line))
  await host.ready
  network.cut()
  for (let count = 0; count < 20; count++) live.topic('host', { id: 'a' }).publish('log', String(count))
  await until(() => got.length === 20, 'all updates')
  t.strictSame(verdicts, ['new', 'resumed'])
  t.strictSame(got, Array.from({ length: 20 }, (_, count) => String(count)))
  t.equal(posts.length, 1)
})

t.test('ready rejects, and nobody need listen', async (t) => {
  const { client, live, session } = await start(t, {
    topics: {
      host: {
        authorize: (_session, { id }) => {
          if (id === 'no') return false
          if (id === 'mine') throw new EventError('NOT_YOURS', 'it is mine')
          return true
        }
      }
    }
  })
  client.subscribe('host', { id: 'no' })
  await t.rejects(client.subscribe('host', { id: 'no' }).ready, { code: 'TETHER_REFUSED', message: 'the subscription is refused' })
  const refused = await client.subscribe('host', { id: 'mine' }).ready.catch((error: unknown) => error)
  t.ok(refused instanceof ClientError)
  t.match(refused, { code: 'NOT_YOURS', message: 'it is mine' })
  await t.rejects(client.subscribe('host', { id: 5 } as never).ready, { code: 'FST_ERR_VALIDATION', status: 400, errors: [{ path: '/data/params/id' }] })
  t.throws(() => client.subscribe('host', { id: '\ud800' }), URIError)
  const host = client.subscribe('host', { id: 'a' })
  await host.ready
  const { ready } = host
  live.topic('host', { id: 'a' }).revoke(await session())
  await until(() => host.ready !== ready, 'another promise')
  await t.rejects(host.ready, { code: 'TETHER_REVOKED' })
  client.close()
  await t.rejects(client.subscribe('host', { id: 'b' }).ready, { code: 'TETHER_CLOSED' })
})

t.test('close rejects what is not ready', async (t) => {
  const { client, live } = await start(t, { topics: { host: { authorize: () => new Promise<boolean>(() => {}) } } })
  const waiting = client.subscribe('host', { id: 'a' })
  await until(() => live.stats.sessions === 1, 'the session')
  await turns()
  client.close()
  await t.rejects(waiting.ready, { code: 'TETHER_CLOSED' })
})

t.test('setup comes first, then subscriptions, then the events that wait', async (t) => {
  const order: string[] = []
  const { client, session, verdicts } = await start(t, {
    on: { say: (_session, { text }) => { order.push(text) } },
    topics: { host: { authorize: (_session, { id }) => { order.push(`topic ${id}`) } } }
  }, {
    setup: async (emit) => { await emit('say', { text: 'setup' }) }
  })
  client.emit('say', { text: 'event' })
  const host = client.subscribe('host', { id: 'a' })
  await host.ready
  await until(() => order.length === 3, 'all')
  t.strictSame(order, ['setup', 'topic a', 'event'])
  ;(await session()).close('closed', { reconnect: true })
  client.emit('say', { text: 'later' })
  await until(() => verdicts.length === 2, 'a new session')
  await until(() => order.length >= 6, 'all again')
  t.strictSame(order.slice(-3), ['setup', 'topic a', 'later'])
})

t.test('in an open session, events and subscriptions keep the order of the calls', async (t) => {
  const order: string[] = []
  const { client, session } = await start(t, {
    on: { say: (_session, { text }) => { order.push(text) } },
    topics: { host: { authorize: (_session, { id }) => { order.push(`topic ${id}`) } } }
  })
  await session()
  await client.emit('say', { text: 'first' })
  client.emit('say', { text: 'before' })
  client.subscribe('host', { id: 'a' })
  await client.emit('say', { text: 'after' })
  await until(() => order.length === 4, 'all')
  t.strictSame(order, ['first', 'before', 'topic a', 'after'])
})

t.test('a line that breaks while the subscriptions leave loses none', async (t) => {
  let breaks = 3
  const server = await startTopics(t)
  const client = connect<typeof contract>(`${server.origin}/live`, {
    retryMs: 5,
    retryMaxMs: 20,
    fetch: async (url, init = {}) => {
      const response = await fetch(url, init)
      // The events have arrived, and their answer is lost.
      if (init.method === 'POST' && breaks-- > 0) throw new TypeError('the line broke')
      return response
    }
  })
  t.teardown(() => client.close())
  const hosts = ['a', 'b', 'c'].map((id) => client.subscribe('host', { id }))
  await Promise.all(hosts.map(({ ready }) => ready))
  await client.emit('say', { text: 'x' })
  t.ok(breaks < 0)
  t.equal(server.live.stats.subscriptions, 3)
})

/** A client whose line is down until `mend` is called; its session lives on. */
async function startOffline (t: Test, options: ConnectOptions<typeof contract>, prepare: (client: Awaited<ReturnType<typeof start>>['client']) => unknown = () => {}) {
  let isDown = false
  const link: LinkFactory = (url, settings) => sseLink(url, {
    ...settings,
    fetch: async (...given) => {
      if (isDown) throw new TypeError('no network')
      return settings.fetch!(...given)
    }
  })
  const started = await start(t, {}, { ...options, link })
  const { client, network, verdicts } = started
  await until(() => client.state === 'open', 'the stream')
  await prepare(client)
  isDown = true
  network.cut()
  await until(() => client.state !== 'open', 'the loss')
  const before = started.posts.length
  return {
    ...started,
    /** Resolves with the events that were sent since. */
    mend: async () => {
      isDown = false
      await until(() => verdicts.length > 1, 'the stream')
      await client.emit('say', { text: 'behind all' })
      return started.posts.slice(before).flat().map(({ event, data }) => [event.replace('tether.', ''), data.params?.id ?? data.text])
    }
  }
}

t.test('while the line is down, only the last intent of each topic waits', async (t) => {
  let kept: ReturnType<typeof use> | undefined
  let ended: ReturnType<typeof use> | undefined
  const got: number[] = []
  const use = (client: Awaited<ReturnType<typeof start>>['client'], id: string) => {
    const host = client.subscribe('host', { id })
    host.on('cpu', ({ v }) => got.push(v))
    return host
  }
  const { client, live, mend } = await startOffline(t, { maxQueued: 4 }, async (client) => {
    kept = use(client, 'kept')
    ended = use(client, 'ended')
    await Promise.all([kept.ready, ended.ready])
  })
  live.topic('host', { id: 'kept' }).publish('cpu', { core: 0, v: 1 })
  for (let count = 0; count < 30; count++) {
    // A page goes through many parameters, and shows two components off and on.
    use(client, String(count)).close()
    kept!.close()
    await turns(1)
    kept = use(client, 'kept')
    ended!.close()
    await turns(1)
    ended = use(client, 'ended')
    await turns(1)
  }
  ended!.close()
  const last = use(client, 'last')
  await turns(1)
  t.strictSame(await mend(), [['subscribe', 'kept'], ['unsubscribe', 'ended'], ['subscribe', 'last'], ['say', 'behind all']])
  await Promise.all([kept!.ready, last.ready])
  t.strictSame([...live.topics].filter(({ size }) => size > 0).map(({ name }) => name).sort(), ['host?id=kept', 'host?id=last'])
  t.ok(got.includes(1), 'the retained value')
})

t.test('a session that ended while the line was down gets the last intents alone', async (t) => {
  const { client, live, session, mend } = await startOffline(t, {}, async (client) => {
    await Promise.all(['a', 'b'].map((id) => client.subscribe('host', { id }).ready))
  })
  const old = await session()
  old.close('closed', { reconnect: true })
  const later = client.subscribe('host', { id: 'c' })
  const unused = client.subscribe('host', { id: 'd' })
  await turns(1)
  unused.close()
  await turns(1)
  t.strictSame(await mend(), [['subscribe', 'a'], ['subscribe', 'b'], ['subscribe', 'c'], ['say', 'behind all']])
  await later.ready
  t.strictSame([...live.topics].map(({ name }) => name).sort(), ['host?id=a', 'host?id=b', 'host?id=c'])
})
