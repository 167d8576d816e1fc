import type { Engine, LogEntry, Offset } from '../../cluster/engine.ts'
import { equal, not, ok, same } from './checks.ts'
import { runScoped, type ContractCase } from './contract-case.ts'
import { bytes, EngineBench, randomName, text, type Peer } from './engine-bench.ts'
import type { EngineFault, EngineUnderTest } from './engine-under-test.ts'
import { turns, until, within } from './wait.ts'

type Case = (bench: EngineBench) => Promise<void>
type Ability = 'due' | 'journal'

/**
 * The rules for engines, as tests. Each test has nodes of its own and asserts with `node:assert`, so any runner
 * will do. Tests of abilities and faults that the engine does not declare are left out. Run them one at a
 * time, with a limit of two minutes each.
 *
 * @example
 * for (const { name, run } of engineContract(engine)) test(name, run)
 * @see docs/cluster.md
 */
export function engineContract (engine: EngineUnderTest): readonly ContractCase[] {
  const able = (ability: Ability) => engine.can[ability]
  const bears = (fault: EngineFault) => engine.faults.includes(fault)
  const fitting = {
    ...always,
    ...able('due') && withDue,
    ...able('journal') && withJournal,
    ...bears('cut') && withCut,
    ...bears('freeze') && withFreeze,
    ...bears('empty') && withEmpty,
    ...bears('restart') && withRestart
  }
  return Object.entries<Case>(fitting).map(([name, body]) => ({ name: `${engine.name}: ${name}`, run: () => runScoped((scope) => body(new EngineBench(engine, scope))) }))
}

const minute = { ttlMs: 60_000 }
/** A length that no buffer's size divides, below the usual limit of a megabyte for a message. */
const large = 999_983

const always: Record<string, Case> = {
  'a node comes up, and its engine can do what it says': async (bench) => {
    const peer = await bench.open()
    same(peer.states, ['up'])
    same({ ...peer.engine.can }, { ...bench.underTest.can })
    for (const name of ['journal', 'journalOf'] as const) equal(typeof peer.engine[name] === 'function', bench.underTest.can.journal, name)
    equal(typeof peer.engine.due === 'function', bench.underTest.can.due, 'due')
  },

  'every node is reported every entry, its own too, all in one order': async (bench) => {
    const peers = await bench.peers(3)
    const wanted: string[] = []
    await Promise.all(peers.map(async ({ engine, name }) => {
      for (let round = 0; round < 20; round++) {
        const labels = Array.from({ length: 20 }, (_, index) => `${name}:${round * 20 + index}`)
        wanted.push(...labels)
        await Promise.all(labels.map((label) => engine.append(bytes(label))))
        await turns(round % 3)
      }
    }))
    for (const { texts } of peers) await until(() => texts.length === wanted.length, 'all entries')
    const [first] = peers as [Peer]
    same(first.texts.toSorted(), wanted.toSorted())
    for (const peer of peers) {
      same(peer.texts, first.texts, 'one order')
      same(offsets(peer.log), offsets(first.log), 'one place each')
      isSorted(offsets(peer.log))
      same(ofAuthor(first.texts, peer.name), range(400), 'the order of its calls')
    }
    same((await readLog(first.engine)).map(({ bytes }) => text(bytes)), first.texts, 'the order of the log')
  },

  'the log is read from any place, in pieces of any size': async (bench) => {
    const peer = await bench.open()
    const other = await bench.open()
    same(await peer.engine.range(null, 10), [], 'an empty log')
    // Past 1,000, where numbers of different lengths sort differently as text.
    for (let at = 0; at < 1_200; at += 100) await Promise.all(Array.from({ length: 100 }, (_, index) => peer.engine.append(bytes(`e:${at + index}`))))
    await until(() => other.texts.length === 1_200, 'all entries')
    const all = await readLog(other.engine, 170)
    same(ofAuthor(all.map(({ bytes }) => text(bytes)), 'e'), range(1_200))
    isSorted(offsets(all))
    same(offsets(all), offsets(other.log), 'range and the reports name one place')
    same(offsets(await other.engine.range(null, 1)), offsets(all.slice(0, 1)), 'limit 1')
    same(offsets(await other.engine.range(all[99]!.at, 3)), offsets(all.slice(100, 103)), 'behind an entry')
    same(await other.engine.range(all.at(-1)!.at, 10), [], 'behind the last')
    await peer.engine.append(bytes('e:1200'))
    same((await other.engine.range(all.at(-1)!.at, 10)).map(({ bytes }) => text(bytes)), ['e:1200'], 'behind what was the last')
  },

  'a node that comes later reads what was there, and is reported what follows': async (bench) => {
    const early = await bench.open()
    for (let index = 0; index < 10; index++) await early.engine.append(bytes(`before:${index}`))
    const late = await bench.open()
    same(ofAuthor((await readLog(late.engine)).map(({ bytes }) => text(bytes)), 'before'), range(10))
    for (let index = 0; index < 10; index++) await (index % 2 === 0 ? early : late).engine.append(bytes(`after:${index}`))
    for (const { texts } of [early, late]) {
      await until(() => ofAuthor(texts, 'after').length === 10, 'what follows')
      same(ofAuthor(texts, 'after'), range(10))
    }
  },

  'entries appended while a node opens are reported to it or can be read': async (bench) => {
    const author = await bench.open()
    const opened = new AbortController()
    let count = 0
    const appending = (async () => {
      while (!opened.signal.aborted) {
        await author.engine.append(bytes(`e:${count++}`))
        await turns(1)
      }
    })()
    const late = await bench.begin().finally(() => { opened.abort() })
    await appending
    await until(() => late.states.includes('up'), 'up')
    await author.engine.append(bytes(`e:${count++}`))
    await until(() => late.texts.at(-1) === `e:${count - 1}`, 'the last entry')
    const earlier = (await readLog(late.engine)).filter(({ at }) => at < late.log[0]!.at)
    same([...ofAuthor(earlier.map(({ bytes }) => text(bytes)), 'e'), ...ofAuthor(late.texts, 'e')], range(count))
  },

  'entries, records, messages and cards of any size and any bytes pass unchanged': async (bench) => {
    const [sender, receiver] = await bench.peers(2) as [Peer, Peer]
    const every = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
    const huge = Buffer.alloc(large, every)
    const given = [every, huge, bytes('x')]
    const kept = given.map((one) => Buffer.from(one))
    await Promise.all(given.map((one) => sender.engine.append(one)))
    await until(() => receiver.log.length === 3, 'three entries')
    ok(receiver.log.every((entry, index) => entry.bytes.equals(kept[index]!)), 'entries')
    ok((await readLog(receiver.engine)).every((entry, index) => entry.bytes.equals(kept[index]!)), 'the log')
    await Promise.all(given.map((one) => sender.engine.send(receiver.name, one)))
    await until(() => receiver.messages.length === 3, 'three messages')
    ok(receiver.messages.every((message, index) => message.from === sender.name && message.bytes.equals(kept[index]!)), 'messages')
    for (const [index, one] of given.entries()) {
      const key = randomName('k')
      not(await sender.engine.put(key, one, null, minute), null)
      ok((await receiver.engine.get(key))!.value.equals(kept[index]!), 'a record')
    }
    await sender.engine.renew(10_000, every)
    ok((await receiver.engine.nodes()).get(sender.name)!.equals(every), 'a card')
  },

  'a caller may use its buffer again as soon as the call has settled': async (bench) => {
    const [author, other] = await bench.peers(2) as [Peer, Peer]
    const key = randomName('k')
    const buffer = bytes('first')
    await author.engine.append(buffer)
    await author.engine.put(key, buffer, null, minute)
    await author.engine.renew(10_000, buffer)
    buffer.fill('x')
    await until(() => other.texts.length > 0, 'the entry')
    same(other.texts, ['first'])
    same(text((await other.engine.range(null, 1))[0]!.bytes), 'first')
    same(text((await other.engine.get(key))!.value), 'first')
    same(text((await other.engine.nodes()).get(author.name)!), 'first')
  },

  'two applications share an engine, and nothing else': async (bench) => {
    const names = [randomName('one'), randomName('two')] as const
    const [one, two] = await Promise.all(names.map((name) => bench.open(name))) as [Peer, Peer]
    const mate = await bench.open(names[1])
    await one.engine.renew(10_000, bytes('one'))
    await two.engine.renew(10_000, bytes('two'))
    same([...(await one.engine.nodes()).keys()], [one.name])
    same([...(await mate.engine.nodes()).keys()], [two.name])
    await one.engine.append(bytes('of one'))
    await one.engine.send(two.name, bytes('stray'))
    await two.engine.append(bytes('of two'))
    await two.engine.send(mate.name, bytes('right'))
    await until(() => [one, two, mate].every(({ texts }) => texts.length > 0) && mate.messages.length > 0, 'entries and message')
    same([one.texts, two.texts, mate.texts], [['of one'], ['of two'], ['of two']])
    same((await readLog(two.engine)).map(({ bytes }) => text(bytes)), ['of two'])
    same(two.messages, [])
  },

  'a record is created once and changed by whoever knows its revision': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    const key = randomName('k')
    equal(await one.engine.get(key), null)
    equal(await one.engine.put(key, bytes('a'), 'no-such-revision', minute), null, 'no record to change')
    const first = await one.engine.put(key, bytes('a'), null, minute)
    equal(typeof first, 'string')
    same(await two.engine.get(key), { revision: first, value: bytes('a') })
    equal(await two.engine.put(key, bytes('b'), null, minute), null, 'it exists')
    const second = await two.engine.put(key, bytes('b'), first, minute)
    equal(typeof second, 'string')
    not(second, first)
    equal(await one.engine.put(key, bytes('c'), first, minute), null, 'another revision')
    same(await one.engine.get(key), { revision: second, value: bytes('b') })
    equal(await one.engine.get(randomName('k')), null, 'another key')
  },

  'of writers at one time exactly one wins': async (bench) => {
    const peers = await bench.peers(3)
    const key = randomName('k')
    let revision: string | null = null
    for (let round = 0; round < 8; round++) {
      const tries: Array<Promise<[string, string | null]>> = []
      for (let writer = 0; writer < 5; writer++) {
        for (const { engine, name } of peers) {
          const value = `${name}:${round}:${writer}`
          tries.push(engine.put(key, bytes(value), revision, minute).then((revision) => [value, revision]))
        }
      }
      const won = (await Promise.all(tries)).filter(([, revision]) => revision !== null)
      equal(won.length, 1, `winners of round ${round}`)
      const [[value, now]] = won as [[string, string]]
      for (const { engine } of peers) same(await engine.get(key), { revision: now, value: bytes(value) })
      revision = now
    }
  },

  'a record expires, and its revision never comes again': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    const key = randomName('k')
    const revisions: Array<string | null> = [await one.engine.put(key, bytes('a'), null, { ttlMs: bench.shortMs })]
    await untilGone(two, key)
    equal(await one.engine.put(key, bytes('b'), revisions[0]!, minute), null, 'an expired record has no revision')
    revisions.push(await two.engine.put(key, bytes('b'), null, { ttlMs: bench.shortMs }))
    await untilGone(one, key)
    revisions.push(await one.engine.put(key, bytes('c'), null, minute))
    equal(new Set(revisions).size, 3, 'three revisions')
    ok(!revisions.includes(null), 'three writes')
    for (const old of revisions.slice(0, 2)) equal(await two.engine.put(key, bytes('d'), old!, minute), null, 'an old revision')
    equal(text((await two.engine.get(key))!.value), 'c')
  },

  'a write starts the time of its record anew': async (bench) => {
    const { engine } = await bench.open()
    const [kept, short] = [randomName('k'), randomName('k')]
    const revision = await engine.put(kept, bytes('a'), null, { ttlMs: bench.shortMs })
    await engine.put(kept, bytes('b'), revision, minute)
    const long = await engine.put(short, bytes('a'), null, minute)
    await engine.put(short, bytes('b'), long, { ttlMs: bench.shortMs })
    await eventually(() => gone(engine, short), 'the record with the shorter time is gone')
    await sleep(bench.shortMs)
    equal(text((await engine.get(kept))!.value), 'b')
  },

  'messages arrive in the order of their sender, at their node alone': async (bench) => {
    const [one, two, three] = await bench.peers(3) as [Peer, Peer, Peer]
    const count = 300
    await Promise.all(range(count).flatMap((index) => [
      one.engine.send(two.name, bytes(String(index))),
      three.engine.send(two.name, bytes(String(index))),
      two.engine.send(one.name, bytes(String(index)))
    ]))
    await until(() => two.messages.length >= 2 * count && one.messages.length >= count, 'all messages')
    const from = (peer: Peer, { name }: Peer) => peer.messages.filter((message) => message.from === name).map(({ bytes }) => Number(text(bytes)))
    same([from(two, one), from(two, three), from(one, two)], [range(count), range(count), range(count)])
    same([one.messages.length, two.messages.length, three.messages.length], [count, 2 * count, 0])
    same([one.texts, two.texts, three.texts], [[], [], []], 'no message is an entry')
  },

  'a message to no node harms nobody': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    await within(one.engine.send(randomName('n'), bytes('stray')), 'send', bench.patienceMs)
    const gone = await bench.open()
    await gone.engine.close()
    await within(one.engine.send(gone.name, bytes('late')), 'send', bench.patienceMs)
    await one.engine.send(two.name, bytes('right'))
    await until(() => two.messages.length > 0, 'the next message')
    same(two.messages.map(({ bytes }) => text(bytes)), ['right'])
    same([one.messages.length, one.states, two.states], [0, ['up'], ['up']])
  },

  'a node is listed with its newest card while its lease runs': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    const cards = async ({ engine }: Peer) => Object.fromEntries([...await engine.nodes()].map(([name, card]) => [name, text(card)]))
    same(await cards(two), {}, 'nobody has asked for a lease')
    await one.engine.renew(bench.shortMs * 20, bytes('first'))
    same([await cards(one), await cards(two)], [{ [one.name]: 'first' }, { [one.name]: 'first' }])
    await two.engine.renew(60_000, bytes('two'))
    await one.engine.renew(bench.shortMs, bytes('second'))
    await eventually(async () => !(one.name in await cards(two)), 'the lease runs out')
    same(await cards(one), { [two.name]: 'two' })
    await one.engine.renew(60_000, bytes('third'))
    same(await cards(two), { [one.name]: 'third', [two.name]: 'two' })
    await sleep(bench.shortMs * 1.5)
    same(await cards(two), { [one.name]: 'third', [two.name]: 'two' }, 'an earlier, shorter lease ends none')
  },

  'a node that leaves is listed no more, and is reported nothing more': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    await one.engine.renew(60_000, bytes('one'))
    await two.engine.renew(60_000, bytes('two'))
    const key = randomName('k')
    const revision = await one.engine.put(key, bytes('a'), null, minute)
    await one.engine.append(bytes('before'))
    await until(() => one.texts.length === 1 && two.texts.length === 1, 'the entry')
    await one.engine.close()
    const { reports } = one
    same([...(await two.engine.nodes()).keys()], [two.name])
    await two.engine.append(bytes('after'))
    await two.engine.send(one.name, bytes('after'))
    await until(() => two.texts.length === 2, 'the next entry')
    same(await two.engine.get(key), { revision, value: bytes('a') }, 'its records stay')
    await turns(20)
    equal(one.reports, reports)
    for (const [name, call] of calls(one.engine)) await rejects(within(call(), name, bench.patienceMs), `${name} after close`)
    await one.engine.close()
  },

  'calls under way settle when their node leaves': async (bench) => {
    const peer = await bench.open()
    const pending = [...calls(peer.engine).values(), ...calls(peer.engine).values()].map((call) => call().catch(() => {}))
    await within(peer.engine.close(), 'close', bench.patienceMs)
    await within(Promise.all(pending), 'the calls', bench.patienceMs)
  },

  'a node that left leaves neither connection nor timer': async (bench) => {
    const stay = await bench.open()
    // The first node may have made what all nodes of a process share.
    await (await bench.open()).engine.close()
    await turns(20)
    const before = process.getActiveResourcesInfo().length
    for (let round = 0; round < 3; round++) {
      const peer = await bench.open()
      await peer.engine.renew(60_000, bytes('card'))
      await peer.engine.append(bytes(`e:${round}`))
      await peer.engine.send(stay.name, bytes('hello'))
      await Promise.all([...calls(peer.engine).values()].map((call) => call()))
      await peer.engine.close()
    }
    // Each wait of the case is a timer itself.
    await until(() => process.getActiveResourcesInfo().length <= before + 1, 'the end of what a node opened')
  },

  'two nodes bear a flood of entries, each reported in order': async (bench) => {
    const peers = await bench.peers(2)
    const payload = 'x'.repeat(20_000)
    const rounds = 10
    for (let round = 0; round < rounds; round++) {
      await Promise.all(peers.flatMap(({ engine, name }) => range(20).map((index) => engine.append(bytes(`${name}:${round * 20 + index}:${payload}`)))))
    }
    for (const { texts } of peers) {
      await until(() => texts.length === rounds * 40, 'all entries', 60_000)
      for (const { name } of peers) same(ofAuthor(texts, name), range(rounds * 20))
    }
  }
}

const withDue: Record<string, Case> = {
  'records come due, the earliest first': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    const keys = range(6).map(() => randomName('k'))
    const [early, middle, late, never, moved, short] = keys as [string, string, string, string, string, string]
    // In times long past, so that only these records are due.
    await one.engine.put(middle, bytes('v'), null, { ...minute, dueAt: 2_000 })
    await one.engine.put(late, bytes('v'), null, { ...minute, dueAt: 3_000 })
    await one.engine.put(early, bytes('v'), null, { ...minute, dueAt: 1_000 })
    await one.engine.put(never, bytes('v'), null, minute)
    const revision = await one.engine.put(moved, bytes('v'), null, { ...minute, dueAt: 1_500 })
    await one.engine.put(short, bytes('v'), null, { ttlMs: bench.shortMs, dueAt: 500 })
    const due = (now: number, limit = 100) => two.engine.due!(now, limit)
    await eventually(() => gone(two.engine, short), 'the end of the shortest')
    // The key of a record that expired may be named once more.
    await eventually(async () => !(await due(10_000)).includes(short), 'no expired record')
    same(await due(999), [])
    same(await due(1_000), [early], 'at its time')
    same(await due(2_500), [early, moved, middle], 'in the order of their times')
    same(await due(2_500), [early, moved, middle], 'again, for nobody moved them')
    same(await due(10_000, 2), [early, moved], 'at most the limit')
    const again = await two.engine.put(moved, bytes('v'), revision, { ...minute, dueAt: 5_000 })
    await eventually(async () => (await due(4_000)).length === 3, 'one moved on')
    same(await due(4_000), [early, middle, late])
    same(await due(5_000), [early, middle, late, moved])
    await one.engine.put(moved, bytes('v'), again, minute)
    await eventually(async () => (await due(9_000)).length === 3, 'one is due no more')
    equal(await one.engine.put(early, bytes('v'), 'no-such-revision', { ...minute, dueAt: 8_000 }), null)
    same(await due(10_000), [early, middle, late], 'a write that was refused moves nothing')
  },

  'of nodes that take what is due, one gets each record': async (bench) => {
    const peers = await bench.peers(3)
    const keys = range(12).map(() => randomName('k'))
    await Promise.all(keys.map((key, index) => peers[index % 3]!.engine.put(key, bytes('over'), null, { ...minute, dueAt: 1_000 + index })))
    const taken: string[] = []
    await Promise.all(peers.map(async ({ engine, name }) => {
      for (let round = 0; round < 50; round++) {
        const due = await engine.due!(60_000, 5)
        if (due.length === 0) return
        for (const key of due) {
          const found = await engine.get(key)
          // Another node may have it by now.
          if (found === null || text(found.value) !== 'over') continue
          if (await engine.put(key, bytes(name), found.revision, minute) !== null) taken.push(key)
        }
      }
    }))
    same(taken.toSorted(), keys.toSorted(), 'each once')
    for (const { engine } of peers) await eventually(async () => (await engine.due!(60_000, 100)).length === 0, 'nothing is due any more')
  }
}

const withJournal: Record<string, Case> = {
  'a journal grows with its record\'s revision, and a write empties it': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    const key = randomName('k')
    const journal = async ({ engine }: Peer) => (await engine.journalOf!(key)).map(text)
    same(await journal(one), [])
    equal(await one.engine.journal!(key, 'no-such-revision', bytes('x')), false, 'no record')
    same(await journal(one), [])
    const first = await one.engine.put(key, bytes('a'), null, minute) as string
    same(await Promise.all(range(20).map((index) => one.engine.journal!(key, first, bytes(`e:${index}`)))), range(20).map(() => true))
    same(ofAuthor(await journal(two), 'e'), range(20), 'the order of the calls')
    equal(await two.engine.put(key, bytes('b'), 'no-such-revision', minute), null)
    equal((await journal(two)).length, 20, 'a write that was refused empties nothing')
    const second = await two.engine.put(key, bytes('b'), first, minute) as string
    same(await journal(one), [], 'emptied')
    equal(await one.engine.journal!(key, first, bytes('late')), false, 'an old revision')
    equal(await two.engine.journal!(key, second, bytes('new')), true)
    same(await journal(one), ['new'])
    same(text((await one.engine.get(key))!.value), 'b')
    equal((await one.engine.get(key))!.revision, second, 'a journal changes no revision')
  },

  'a journal takes any bytes, and ends with its record': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    const key = randomName('k')
    const huge = Buffer.alloc(large, Buffer.from(Array.from({ length: 256 }, (_, index) => index)))
    const first = await one.engine.put(key, bytes('a'), null, { ttlMs: Math.max(1_000, bench.shortMs) }) as string
    equal(await one.engine.journal!(key, first, huge), true)
    const [entry] = await two.engine.journalOf!(key)
    ok(entry!.equals(huge))
    await untilGone(one, key)
    await eventually(async () => (await two.engine.journalOf!(key)).length === 0, 'the end of the journal')
    equal(await one.engine.journal!(key, first, bytes('late')), false, 'an expired record')
    const second = await one.engine.put(key, bytes('b'), null, minute) as string
    same(await two.engine.journalOf!(key), [])
    equal(await two.engine.journal!(key, first, bytes('late')), false, 'the revision of another life')
    equal(await two.engine.journal!(key, second, bytes('new')), true)
  }
}

const withCut: Record<string, Case> = {
  'a node that is cut off goes down, and catches up when it is back': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    for (let index = 0; index < 5; index++) await one.engine.append(bytes(`e:${index}`))
    await until(() => two.texts.length === 5, 'the first entries')
    await two.cut()
    await until(() => two.states.includes('down'), 'down')
    for (const [name, call] of calls(two.engine)) {
      if (name !== 'send') await rejects(within(call(), name, bench.patienceMs), `${name} while cut off`)
    }
    for (let index = 5; index < 205; index++) await one.engine.append(bytes(`e:${index}`))
    same(two.states, ['up', 'down'], 'no new connection while it is cut off')
    await two.mend()
    await until(() => two.states.at(-1) === 'up', 'up again')
    await one.engine.append(bytes('e:205'))
    await until(() => two.texts.includes('e:205'), 'the last entry')
    // What a rejected append left is no entry of the other.
    same(ofAuthor(two.texts, 'e'), range(206))
    same(one.states, ['up'], 'the other node was not cut off')
    await two.engine.append(bytes('own'))
    await until(() => one.texts.includes('own') && two.texts.includes('own'), 'its own entry')
    await one.engine.send(two.name, bytes('hello'))
    await until(() => two.messages.some(({ bytes }) => text(bytes) === 'hello'), 'a message')
  },

  'the lease of a node that is cut off runs out': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    await two.engine.renew(bench.shortMs * 4, bytes('two'))
    equal((await one.engine.nodes()).size, 1)
    await two.cut()
    await eventually(async () => (await one.engine.nodes()).size === 0, 'the lease runs out', bench.shortMs * 10 + 5_000)
    await until(() => two.states.at(-1) === 'down', 'down')
    await two.mend()
    await until(() => two.states.at(-1) === 'up', 'up again')
    await two.engine.renew(60_000, bytes('back'))
    same(await one.engine.nodes(), new Map([[two.name, bytes('back')]]))
  },

  'no acknowledged entry is lost when the connection breaks': async (bench) => {
    const [author, other] = await bench.peers(2) as [Peer, Peer]
    const acknowledged: number[] = []
    for (let round = 0; round < 3; round++) {
      const pending = range(40).map((index) => author.engine.append(bytes(`e:${round * 40 + index}`)).then(() => { acknowledged.push(round * 40 + index) }, () => {}))
      await turns(round * 2)
      await author.cut()
      await within(Promise.all(pending), 'the appends', bench.patienceMs)
      await until(() => author.states.at(-1) === 'down', 'down')
      await author.mend()
      await until(() => author.states.at(-1) === 'up', 'up again')
      await author.engine.append(bytes(`mark:${round}`))
    }
    for (const { texts } of [author, other]) {
      await until(() => texts.includes('mark:2'), 'the mark')
      const reported = new Set(ofAuthor(texts, 'e'))
      same(acknowledged.filter((index) => !reported.has(index)), [], 'acknowledged, and not reported')
    }
    same(other.texts, author.texts)
    const read = ofAuthor((await readLog(other.engine)).map(({ bytes }) => text(bytes)), 'e')
    same([...new Set(read)], ofAuthor(other.texts, 'e'), 'the log has what was reported')
  },

  'a write whose answer is lost happened or did not, and its record says which': async (bench) => {
    const [writer, reader] = await bench.peers(2) as [Peer, Peer]
    for (let round = 0; round < 4; round++) {
      const key = randomName('k')
      const first = await writer.engine.put(key, bytes('old'), null, minute)
      const pending = writer.engine.put(key, bytes('new'), first, minute).catch(() => undefined)
      await turns(round)
      await writer.cut()
      const answer = await within(pending, 'the write', bench.patienceMs)
      await until(() => writer.states.at(-1) === 'down', 'down')
      await writer.mend()
      await until(() => writer.states.at(-1) === 'up', 'up again')
      const found = await reader.engine.get(key)
      not(answer, null, 'nobody else wrote')
      if (answer !== undefined) same(found, { revision: answer, value: bytes('new') })
      else if (text(found!.value) === 'old') equal(found!.revision, first)
      else equal(text(found!.value), 'new')
      equal(typeof await writer.engine.put(key, bytes('next'), found!.revision, minute), 'string', 'what was read can be changed')
    }
  },

  'a node that is cut off can leave': async (bench) => {
    const peer = await bench.open()
    await peer.cut()
    await within(peer.engine.close(), 'close', bench.patienceMs)
    const { reports } = peer
    await peer.mend()
    await sleep(bench.shortMs)
    equal(peer.reports, reports, 'it does not come back')
  }
}

const withFreeze: Record<string, Case> = {
  'every call rejects within its deadline on a frozen connection': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    await two.freeze()
    const startedAt = performance.now()
    await Promise.all([...calls(two.engine)].map(async ([name, call]) => {
      const settled = within(call(), name, bench.patienceMs)
      // A message is sent with best effort: it may also get lost in silence.
      if (name === 'send') await settled.catch(() => {})
      else await rejects(settled, `${name} while frozen`)
    }))
    ok(performance.now() - startedAt < bench.patienceMs)
    await until(() => two.states.includes('down'), 'down')
    for (let index = 0; index < 50; index++) await one.engine.append(bytes(`e:${index}`))
    await two.mend()
    await until(() => two.states.at(-1) === 'up', 'up again', bench.patienceMs + 15_000)
    await one.engine.append(bytes('e:50'))
    await until(() => two.texts.includes('e:50'), 'the last entry')
    same(ofAuthor(two.texts, 'e'), range(51))
    same(one.states, ['up'])
  },

  'a frozen connection is noticed without a call': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    await two.freeze()
    await until(() => two.states.includes('down'), 'down', bench.patienceMs + 30_000)
    await one.engine.append(bytes('e:0'))
    await two.mend()
    await until(() => two.states.at(-1) === 'up', 'up again', bench.patienceMs + 15_000)
    await until(() => two.texts.includes('e:0'), 'the entry')
  },

  'what waits for a frozen connection is bounded by count': async (bench) => {
    const { count } = bench.underTest.queue
    await floods(bench, count * 2 + 10, 16, (waiting) => { ok(waiting <= count, `${waiting} calls wait, of at most ${count}`) })
  },

  'what waits for a frozen connection is bounded by bytes': async (bench) => {
    const { bytes } = bench.underTest.queue
    const size = Math.min(large, Math.ceil(bytes / 20))
    await floods(bench, Math.min(Math.ceil(bytes / size) + 10, bench.underTest.queue.count), size, (waiting) => { ok(waiting * size <= bytes, `${waiting * size} bytes wait, of at most ${bytes}`) })
  },

  'a node with a frozen connection can leave': async (bench) => {
    const peer = await bench.open()
    await peer.freeze()
    const pending = [...calls(peer.engine).values()].map((call) => call().catch(() => {}))
    await within(peer.engine.close(), 'close', bench.patienceMs)
    await within(Promise.all(pending), 'the calls', bench.patienceMs)
  }
}

const withEmpty: Record<string, Case> = {
  'nodes learn that the engine lost its memory, and start anew': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    const key = randomName('k')
    await one.engine.put(key, bytes('a'), null, { ...minute, dueAt: 1_000 })
    await one.engine.renew(60_000, bytes('one'))
    for (let index = 0; index < 5; index++) await one.engine.append(bytes(`before:${index}`))
    // An entry that a node has not read by now is lost to it.
    await until(() => one.texts.length === 5 && two.texts.length === 5, 'the entries')
    await (await bench.start()).empty!()
    for (const peer of [one, two]) {
      await until(() => peer.states.includes('forgot') && peer.states.at(-1) === 'up', 'forgot, then up', bench.patienceMs + 15_000)
      equal(peer.states.filter((state) => state === 'forgot').length, 1, 'told once')
    }
    equal(await two.engine.get(key), null)
    same(await two.engine.range(null, 10), [])
    same(await two.engine.nodes(), new Map())
    if (bench.underTest.can.due) same(await two.engine.due!(5_000, 10), [])
    if (bench.underTest.can.journal) same(await two.engine.journalOf!(key), [])
    equal(typeof await one.engine.put(key, bytes('b'), null, minute), 'string')
    await two.engine.renew(60_000, bytes('two'))
    same([...(await one.engine.nodes()).keys()], [two.name])
    for (let index = 0; index < 5; index++) await two.engine.append(bytes(`after:${index}`))
    for (const { texts } of [one, two]) {
      await until(() => ofAuthor(texts, 'after').length === 5, 'what follows')
      same(texts, [...range(5).map((index) => `before:${index}`), ...range(5).map((index) => `after:${index}`)])
    }
  }
}

const withRestart: Record<string, Case> = {
  'a restart of the engine keeps what it says that it keeps': async (bench) => {
    const [one, two] = await bench.peers(2) as [Peer, Peer]
    const key = randomName('k')
    const revision = await one.engine.put(key, bytes('a'), null, minute)
    for (let index = 0; index < 50; index++) await one.engine.append(bytes(`before:${index}`))
    await (await bench.start()).restart!()
    for (const peer of [one, two]) await until(() => peer.states.includes('down') && peer.states.at(-1) === 'up', 'down, then up', bench.patienceMs + 30_000)
    const found = await two.engine.get(key)
    const read = ofAuthor((await readLog(two.engine)).map(({ bytes }) => text(bytes)), 'before')
    if (bench.underTest.can.durable) {
      same(found, { revision, value: bytes('a') })
      same([...new Set(read)], range(50))
      for (const { states } of [one, two]) ok(!states.includes('forgot'), 'nothing was forgotten')
    } else {
      equal(found, null)
      for (const { states } of [one, two]) equal(states.filter((state) => state === 'forgot').length, 1, 'told once')
    }
    await one.engine.append(bytes('after:0'))
    await two.engine.append(bytes('after:1'))
    for (const { texts } of [one, two]) {
      await until(() => ofAuthor(texts, 'after').length === 2, 'what follows')
      // Without a disk, an entry may be acknowledged, and lost before its report.
      if (bench.underTest.can.durable) same(ofAuthor(texts, 'before'), range(50), 'each was reported')
      same(ofAuthor(texts, 'after'), [0, 1])
    }
  }
}

/** A call of each method, by name. */
function calls (engine: Engine): Map<string, () => Promise<unknown>> {
  const key = randomName('k')
  const all: Array<[string, () => Promise<unknown>]> = [
    ['append', () => engine.append(bytes(randomName('call')))],
    ['range', () => engine.range(null, 1)],
    ['send', () => engine.send(randomName('n'), bytes('call'))],
    ['get', () => engine.get(key)],
    ['put', () => engine.put(key, bytes('call'), null, minute)],
    ['renew', () => engine.renew(60_000, bytes('call'))],
    ['nodes', () => engine.nodes()]
  ]
  if (engine.can.due) all.push(['due', () => engine.due!(1, 1)])
  if (engine.can.journal) all.push(['journal', () => engine.journal!(key, 'no-such-revision', bytes('call'))], ['journalOf', () => engine.journalOf!(key)])
  return new Map(all)
}

/** Floods a frozen node with appends. Those beyond the bound reject at once; the others wait for their deadline. */
async function floods (bench: EngineBench, count: number, size: number, check: (waiting: number) => void): Promise<void> {
  const peer = await bench.open()
  await peer.freeze()
  const payload = Buffer.alloc(size, 'x')
  let waiting = 0
  const startedAt = performance.now()
  const pending = range(count).map(() => {
    waiting++
    return peer.engine.append(payload).then(() => { waiting-- }, () => { waiting-- })
  })
  await turns(10)
  check(waiting)
  ok(performance.now() - startedAt < bench.underTest.deadlineMs, `${count} calls take less than the deadline`)
  ok(waiting > 0, 'what is within the bound waits')
  await within(Promise.all(pending), 'the calls', bench.patienceMs)
}

/** All of the log. */
async function readLog (engine: Engine, limit = 100): Promise<LogEntry[]> {
  const all: LogEntry[] = []
  let after: Offset | null = null
  for (;;) {
    const piece: LogEntry[] = await engine.range(after, limit)
    ok(piece.length <= limit, 'at most the limit')
    if (piece.length === 0) return all
    ok(after === null || after < piece[0]!.at, 'behind the place that was named')
    all.push(...piece)
    after = piece.at(-1)!.at
  }
}

/** Numbers of the labels `author:number…`, in their order. */
function ofAuthor (texts: readonly string[], author: string): number[] {
  return texts.filter((text) => text.startsWith(`${author}:`)).map((text) => Number(text.split(':', 2)[1]))
}

/** Like `until`, for a condition that asks the engine. */
async function eventually (condition: () => Promise<boolean>, what: string, withinMs?: number): Promise<void> {
  let isMet = false
  let failure: unknown
  const ended = new AbortController()
  const asking = (async () => {
    while (!isMet && !ended.signal.aborted) {
      isMet = await condition()
      if (!isMet) await sleep(10)
    }
  })().catch((error: unknown) => { failure = error })
  await until(() => isMet || failure !== undefined, what, withinMs).finally(() => { ended.abort() })
  await asking
  if (failure !== undefined) throw failure
}

const offsets = (log: readonly LogEntry[]) => log.map(({ at }) => at)
const range = (count: number) => Array.from({ length: count }, (_, index) => index)
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

function isSorted (offsets: readonly Offset[]): void {
  for (const [index, at] of offsets.entries()) ok(index === 0 || offsets[index - 1]! < at, `${offsets[index - 1]} before ${at}`)
}

async function gone (engine: Engine, key: string): Promise<boolean> {
  return await engine.get(key) === null
}

async function untilGone ({ engine }: Peer, key: string): Promise<void> {
  await eventually(() => gone(engine, key), 'the record expires')
}

async function rejects (promise: Promise<unknown>, what: string): Promise<void> {
  const outcome = await promise.then(() => 'resolved', (error: unknown) => error)
  ok(outcome instanceof Error && !/in vain/.test(outcome.message), `${what} must reject with an error, and in time; it ${outcome === 'resolved' ? 'resolved' : `gave ${String(outcome)}`}`)
}
