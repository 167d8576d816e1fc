import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { describe, expect, test } from 'tstyche'
import { defineContract, type Cluster, type ClusterValue, type FoundSession, type User } from '../../plugin/index.ts'

const contract = defineContract({ events: {}, updates: { notice: Type.Object({ text: Type.String() }), row: Type.String() } })
type Updates = typeof contract.updates
const app = Fastify()
const live = app.tether.stateful('/live', { contract, on: {} })
const cluster = app.tether.cluster!

describe('sessions of all nodes', () => {
  test('a user takes what bind gives, and updates of the contract', () => {
    expect(live.user('u1')).type.toBe<User<Updates>>()
    expect(live.user).type.toBeCallableWith(7)
    expect(live.user).type.not.toBeCallableWith(null)
    expect(live.user('u1').send('notice', { text: '' })).type.toBe<number>()
    expect(live.user('u1').send).type.not.toBeCallableWith('row', 7)
    expect(live.local.user('u1')).type.toBe<User<Updates>>()
  })

  test('a found session', async () => {
    expect(live.find('id')).type.toBe<Promise<FoundSession<Updates> | null>>()
    const found = (await live.find('id'))!
    expect(found.ref).type.toBe<string>()
    expect(found.node).type.toBe<string | null>()
    expect(found.connected).type.toBe<boolean>()
    expect(found.send('row', '')).type.toBe<Promise<boolean>>()
    expect(found.send).type.not.toBeCallableWith('other', '')
    expect(found.close).type.toBeCallableWith('reason', { reconnect: true })
    expect(found.close()).type.toBe<Promise<boolean>>()
    expect(live.get('id')!.ref).type.toBe<string>()
  })

  test('members', () => {
    expect(live.group('g').members()).type.toBe<Promise<Array<FoundSession<Updates>>>>()
    expect(live.group('g').members).type.toBeCallableWith({ limit: 5 })
    expect(live.group('g').members).type.not.toBeCallableWith(5)
    expect(live.group('g').local.size).type.toBe<number>()
  })
})

describe('what the nodes share', () => {
  test('is null without a cluster', () => {
    expect(app.tether.cluster).type.toBe<Cluster | null>()
  })

  test('events', () => {
    expect(cluster.emit('name')).type.toBe<void>()
    expect(cluster.emit).type.toBeCallableWith('name', { any: 1 })
    const stop = cluster.on('name', (data, { node, isSelf }) => {
      expect(data).type.toBe<any>()
      expect(node).type.toBe<string>()
      expect(isSelf).type.toBe<boolean>()
    })
    expect(stop).type.toBe<() => void>()
    cluster.on('name', (key: string) => { cluster.emit(key) }, { onLost: () => {} })
    cluster.on<number>('name', async (data) => { expect(data).type.toBe<number>() })
  })

  test('values', () => {
    const online = cluster.value('online', 0)
    expect(online).type.toBe<ClusterValue<number>>()
    expect(online.get()).type.toBe<number>()
    expect(online.set(1)).type.toBe<Promise<boolean>>()
    expect(online.add(1)).type.toBe<Promise<boolean>>()
    expect(online.set).type.not.toBeCallableWith('text')
    const flags = cluster.value('flags', { dark: false })
    expect(flags.get()).type.toBe<{ dark: boolean }>()
    expect(flags.add).type.toBe<never>()
    expect(cluster.value<string | null>('name', null).set).type.toBeCallableWith('text')
  })
})
