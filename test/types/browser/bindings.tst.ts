import { Type } from '@sinclair/typebox'
import { describe, expect, test } from 'tstyche'
import { ref as vueRef } from 'vue'
import { ClientError, connect, type ConnectionState, type Transport } from '../../../client/index.ts'
import { connectShared } from '../../../client/shared.ts'
import { store } from '../../../client/store.ts'
import * as react from '../../../client/react.ts'
import * as svelte from '../../../client/svelte.ts'
import * as vue from '../../../client/vue.ts'
import { conflate, defineContract, text, topic } from '../../../plugin/index.ts'

export const contract = defineContract({
  events: { pause: Type.Object({}) },
  updates: {
    sample: conflate(Type.Object({ series: Type.String(), v: Type.Number() }), (sample) => sample.series),
    row: text()
  },
  topics: {
    host: topic({
      params: Type.Object({ id: Type.String(), zone: Type.Optional(Type.String()) }),
      updates: { cpu: conflate(Type.Object({ core: Type.Integer(), load: Type.Number() }), ({ core }) => core), alert: text() }
    }),
    all: topic({ updates: { tick: Type.Integer() } })
  }
})

interface Cpu { core: number, load: number }

interface Sample { series: string, v: number }

const live = connect<typeof contract>('/live', { autoConnect: false })

describe('a connection', () => {
  test('can be opened later, tells its transport and measures', () => {
    expect(live.open()).type.toBe<void>()
    expect(live.transport).type.toBe<Transport | undefined>()
    expect<Transport>().type.toBe<'sse' | 'websocket'>()
    expect(live.latency()).type.toBe<Promise<number>>()
    expect<'idle'>().type.toBeAssignableTo<ConnectionState>()
  })

  test('takes no option that there is not', () => {
    expect(connect).type.toBeCallableWith('/live', { autoConnect: true })
    expect(connect).type.not.toBeCallableWith('/live', { autoconnect: false })
    expect(connect).type.not.toBeCallableWith('/live', { autoConnect: 'no' })
    expect(connect).type.not.toBeCallableWith('/live', { name: 'of another entry' })
    expect(connectShared).type.toBeCallableWith('/live', { autoConnect: false, name: 'a' })
    expect(connectShared).type.not.toBeCallableWith('/live', { hiddenMs: 1 })
  })
})

describe('store', () => {
  test('has the newest data', () => {
    expect(store(live, 'sample').get()).type.toBe<Sample | undefined>()
    expect(store(live, 'row', { every: 100, reset: true }).get()).type.toBe<string | undefined>()
    store(live, 'row').subscribe((row) => { expect(row).type.toBe<string | undefined>() })
    expect(store).type.not.toBeCallableWith(live, 'other')
    expect(store).type.not.toBeCallableWith(live, 'pause')
    expect(store).type.not.toBeCallableWith(live, 'row', { evry: 100 })
    expect(store).type.not.toBeCallableWith(live, 'row', { every: 'second' })
  })

  test('has a map with a key', () => {
    expect(store(live, 'sample', { key: ({ series }) => series }).get()).type.toBe<ReadonlyMap<string, Sample>>()
    expect(store(live, 'sample', { key: ({ v }) => v, every: 'frame' }).get()).type.toBe<ReadonlyMap<number, Sample>>()
  })

  test('has what reduce gives', () => {
    expect(store(live, 'sample', { initial: 0, reduce: (sum, { v }) => sum + v }).get()).type.toBe<number>()
    expect(store(live, 'row', { initial: [] as string[], reduce: (all, row) => [...all, row] }).get()).type.toBe<string[]>()
    expect(store(live, 'sample', { key: ({ series }) => series, reduce: (sum: number | undefined, { v }) => (sum ?? 0) + v }).get()).type.toBe<ReadonlyMap<string, number>>()
  })

  test('takes a subscription for its source', () => {
    const host = live.subscribe('host', { id: 'a' })
    expect(store(host, 'cpu').get()).type.toBe<Cpu | undefined>()
    expect(store(host, 'cpu', { key: ({ core }) => core }).get()).type.toBe<ReadonlyMap<number, Cpu>>()
    expect(store(host, 'alert', { initial: 0, reduce: (sum, alert) => sum + alert.length }).get()).type.toBe<number>()
    expect(store).type.not.toBeCallableWith(host, 'sample')
  })
})

describe('the bindings', () => {
  test('React', () => {
    const { LiveProvider, useLive, useStatus, useUpdate } = react.createHooks<typeof contract>()
    expect(LiveProvider).type.toBeCallableWith({ live })
    expect(LiveProvider).type.toBeCallableWith({ live: () => live, children: 'text' })
    expect(LiveProvider).type.toBeCallableWith({ live: async () => live })
    expect(LiveProvider).type.not.toBeCallableWith({})
    expect(useLive()).type.toBe<typeof live | null>()
    expect(useStatus().state).type.toBe<ConnectionState>()
    expect(useUpdate('sample')).type.toBe<Sample | undefined>()
    expect(useUpdate('sample', { key: ({ series }) => series })).type.toBe<ReadonlyMap<string, Sample>>()
    expect(useUpdate('row', { initial: 0, reduce: (count) => count + 1 })).type.toBe<number>()
    expect(useUpdate).type.not.toBeCallableWith('pause')
  })

  test('Vue', () => {
    const { provideLive, useLive, useStatus, useUpdate } = vue.createHooks<typeof contract>()
    expect(provideLive).type.toBeCallableWith(live)
    expect(provideLive).type.toBeCallableWith(() => live)
    expect(useLive().value).type.toBe<typeof live | null>()
    expect(useStatus().value.state).type.toBe<ConnectionState>()
    expect(useUpdate('sample').value).type.toBe<Sample | undefined>()
    expect(useUpdate('sample', { key: ({ series }) => series }).value).type.toBe<ReadonlyMap<string, Sample>>()
    expect(useUpdate('row', { initial: 0, reduce: (count) => count + 1 }).value).type.toBe<number>()
    expect(useUpdate).type.not.toBeCallableWith('pause')
  })

  test('Svelte', () => {
    const { provideLive, useLive, useStatus, useUpdate } = svelte.createHooks<typeof contract>()
    expect(provideLive).type.toBeCallableWith(live)
    expect(useLive().current).type.toBe<typeof live | null>()
    expect(useStatus().current.state).type.toBe<ConnectionState>()
    expect(useUpdate('sample').current).type.toBe<Sample | undefined>()
    useUpdate('sample', { key: ({ series }) => series }).subscribe((map) => { expect(map).type.toBe<ReadonlyMap<string, Sample>>() })
    expect(useUpdate('row', { initial: 0, reduce: (count) => count + 1 }).current).type.toBe<number>()
    expect(useUpdate).type.not.toBeCallableWith('pause')
  })

  test('topics in React', () => {
    const { useTopic, useUpdate } = react.createHooks<typeof contract>()
    const host = useTopic('host', { id: 'a' })
    expect(host.ready).type.toBe<boolean>()
    expect(host.error).type.toBe<ClientError | undefined>()
    host.on('alert', (alert) => { expect(alert).type.toBe<string>() })
    expect(useUpdate(host, 'cpu')).type.toBe<Cpu | undefined>()
    expect(useUpdate(host, 'cpu', { key: ({ core }) => core })).type.toBe<ReadonlyMap<number, Cpu>>()
    expect(useUpdate(host, 'alert', { initial: [] as string[], reduce: (all, alert) => [...all, alert] })).type.toBe<string[]>()
    expect(useUpdate(host, 'cpu', { key: ({ core }) => core, reduce: (sum: number | undefined, { load }) => (sum ?? 0) + load })).type.toBe<ReadonlyMap<number, number>>()
    expect(useUpdate(useTopic('all'), 'tick', { every: 100 })).type.toBe<number | undefined>()
    expect(store(host, 'cpu').get()).type.toBe<Cpu | undefined>()
    expect(useTopic).type.toBeCallableWith('host', null)
    expect(useTopic).type.toBeCallableWith('all', {})
    expect(useTopic).type.not.toBeCallableWith('host')
    expect(useTopic).type.not.toBeCallableWith('host', {})
    expect(useTopic).type.not.toBeCallableWith('host', { id: 1 })
    expect(useTopic).type.not.toBeCallableWith('hosts', { id: 'a' })
    expect(useUpdate).type.not.toBeCallableWith(host, 'sample')
    expect(useUpdate).type.not.toBeCallableWith(host, 'tick')
  })

  test('topics in Vue', () => {
    const { useTopic, useUpdate } = vue.createHooks<typeof contract>()
    const host = useTopic('host', { id: 'a' })
    expect(host.value.ready).type.toBe<boolean>()
    expect(host.value.error).type.toBe<ClientError | undefined>()
    host.value.on('alert', (alert) => { expect(alert).type.toBe<string>() })
    expect(useUpdate(host, 'cpu').value).type.toBe<Cpu | undefined>()
    expect(useUpdate(host, 'cpu', { key: ({ core }) => core }).value).type.toBe<ReadonlyMap<number, Cpu>>()
    expect(useUpdate(host, 'alert', { initial: [] as string[], reduce: (all, alert) => [...all, alert] }).value).type.toBe<string[]>()
    expect(useUpdate(host, 'cpu', { key: ({ core }) => core, reduce: (sum: number | undefined, { load }) => (sum ?? 0) + load }).value).type.toBe<ReadonlyMap<number, number>>()
    expect(useUpdate(useTopic('all'), 'tick', { every: 100 }).value).type.toBe<number | undefined>()
    expect(store(host.value, 'cpu').get()).type.toBe<Cpu | undefined>()
    expect(useTopic).type.toBeCallableWith('host', null)
    expect(useTopic).type.toBeCallableWith('all', {})
    expect(useTopic).type.toBeCallableWith('host', () => ({ id: 'a' }))
    expect(useTopic).type.toBeCallableWith('host', vueRef({ id: 'a' }))
    expect(useTopic).type.not.toBeCallableWith('host', () => ({ id: 1 }))
    expect(useTopic).type.not.toBeCallableWith('host')
    expect(useTopic).type.not.toBeCallableWith('host', {})
    expect(useTopic).type.not.toBeCallableWith('host', { id: 1 })
    expect(useTopic).type.not.toBeCallableWith('hosts', { id: 'a' })
    expect(useUpdate).type.not.toBeCallableWith(host, 'sample')
    expect(useUpdate).type.not.toBeCallableWith(host, 'tick')
  })

  test('topics in Svelte', () => {
    const { useTopic, useUpdate } = svelte.createHooks<typeof contract>()
    const host = useTopic('host', { id: 'a' })
    expect(host.current.ready).type.toBe<boolean>()
    expect(host.current.error).type.toBe<ClientError | undefined>()
    host.current.on('alert', (alert) => { expect(alert).type.toBe<string>() })
    expect(useUpdate(host, 'cpu').current).type.toBe<Cpu | undefined>()
    expect(useUpdate(host, 'cpu', { key: ({ core }) => core }).current).type.toBe<ReadonlyMap<number, Cpu>>()
    expect(useUpdate(host, 'alert', { initial: [] as string[], reduce: (all, alert) => [...all, alert] }).current).type.toBe<string[]>()
    expect(useUpdate(host, 'cpu', { key: ({ core }) => core, reduce: (sum: number | undefined, { load }) => (sum ?? 0) + load }).current).type.toBe<ReadonlyMap<number, number>>()
    expect(useUpdate(useTopic('all'), 'tick', { every: 100 }).current).type.toBe<number | undefined>()
    expect(store(host.current, 'cpu').get()).type.toBe<Cpu | undefined>()
    expect(useTopic).type.toBeCallableWith('host', null)
    expect(useTopic).type.toBeCallableWith('all', {})
    expect(useTopic).type.toBeCallableWith('host', () => ({ id: 'a' }))
    expect(useTopic).type.toBeCallableWith('host', () => null)
    expect(useTopic).type.not.toBeCallableWith('host', () => ({ id: 1 }))
    expect(useTopic).type.not.toBeCallableWith('host')
    expect(useTopic).type.not.toBeCallableWith('host', {})
    expect(useTopic).type.not.toBeCallableWith('host', { id: 1 })
    expect(useTopic).type.not.toBeCallableWith('hosts', { id: 'a' })
    expect(useUpdate).type.not.toBeCallableWith(host, 'sample')
    expect(useUpdate).type.not.toBeCallableWith(host, 'tick')
  })
})
