import fc from 'fast-check'
import t from 'tap'
import { placeOf } from '../../../tune/search/place.ts'
import { Search, type Found, type SearchParts, type Trial } from '../../../tune/search/search.ts'
import { randomFrom } from '../../../tune/statistics/random.ts'
import { effort } from '../../harness/effort.ts'

interface Shown {
  /** Events a second at which it falls behind. */
  readonly most: number
  /** Events a second at which its latency is too high; default the same. */
  readonly latencyAt?: number
  /** Share of the trials that other processes disturb. */
  readonly disturbed?: number
  /** Whether the run sees it. */
  readonly isSeen?: boolean
  readonly seed?: number
}

/** What a server shows at a load, and how many trials were made. */
function serverWith ({ most, latencyAt = most, disturbed = 0, isSeen = true, seed = 1 }: Shown) {
  const random = randomFrom(seed)
  const loads: number[] = []
  return {
    loads,
    attempt: async (load: number): Promise<Trial> => {
      loads.push(load)
      const isDisturbed = random() < disturbed
      const able = isDisturbed ? most * (0.1 + 0.4 * random()) : most
      const achieved = Math.min(load, able * (0.98 + 0.04 * random()))
      return { load, achieved, holds: load <= able && load <= latencyAt && !isDisturbed, isBehind: achieved < 0.97 * load, isDisturbed: isDisturbed && isSeen, void: null }
    }
  }
}

const partsOf = (server: { attempt: SearchParts['attempt'] }, most = 1e6): SearchParts => ({ attempt: server.attempt, most: () => most, growth: 3 })
const share = (least: number, greatest: number) => fc.double({ min: least, max: greatest, noNaN: true })

t.test('the ramp ends near what a server bears, whatever decides', async () => {
  await fc.assert(fc.asyncProperty(share(10, 20_000), share(0.2, 1), fc.integer({ min: 1, max: 1e6 }), async (most, part, seed) => {
    const server = serverWith({ most, latencyAt: most * part, seed })
    const found = await new Search(partsOf(server)).upward(8, 0)
    const limit = Math.max(1, most * part)
    return found!.about! > limit * 0.6 && found!.about! < limit * 1.7 && server.loads.length < 40
  }), { numRuns: 200 * effort })
})

t.test('disturbed trials are made again, and do not end the ramp too low', async (t) => {
  let far = 0
  const runs = 200 * effort
  for (let seed = 1; seed <= runs; seed += 1) {
    const server = serverWith({ most: 500, disturbed: 0.4, seed })
    const found = await new Search(partsOf(server)).upward(8, 0)
    if (!(found!.about! > 300)) far += 1
  }
  t.ok(far < runs * 0.1, `${far} of ${runs} runs ended too low`)
})

t.test('a server that does less under too much load than it can do is not taken at its word', async (t) => {
  // Each event costs 0.05 ms a session: it bears 141 of one event a second each, and at 216 it does only 93 a second.
  const attempt = async (load: number): Promise<Trial> => {
    const achieved = Math.min(load, 1_000 / (0.05 * load))
    return { load, achieved, holds: achieved >= load, isBehind: achieved < 0.97 * load, isDisturbed: false, void: null }
  }
  const found = await new Search(partsOf({ attempt })).upward(8, 0)
  t.ok(found!.about! > 120 && found!.about! < 160, `${found!.about}`)
})

t.test('what the ramp was not told of, the loads show, and the search goes on above them', async (t) => {
  const loads = [37, 52, 63, 71, 79, 90]
  const server = serverWith({ most: 190 })
  const place = placeOf(await Promise.all(loads.map(async (load) => [await server.attempt(load)])))
  t.strictSame(place, { is: 'above', held: 90 })
  const found = await new Search(partsOf(server)).upward(90 * 1.4, 90)
  t.ok(found!.about! > 170 && found!.about! < 210, `${found!.about}`)
})

t.test('the place of the limit among loads', async (t) => {
  const trial = (load: number, holds: boolean, more: Partial<Trial> = {}): Trial => ({ load, achieved: holds ? load : load / 2, holds, isBehind: !holds, isDisturbed: false, void: null, ...more })
  const of = (...held: boolean[]) => held.map((holds, index) => [trial(100 + 10 * index, holds)])
  t.strictSame(placeOf(of(true, true, true, true, false, false)), { is: 'within' })
  t.match(placeOf(of(true, true, true, true, true, true)), { is: 'above', held: 150 })
  t.match(placeOf(of(false, false, false, false, false, false)), { is: 'below', failed: { load: 100 } })
  t.match(placeOf(of(true, false, false, false, false, false)), { is: 'low' })
  t.match(placeOf(of(true, true, false, true, true, true)), { is: 'above' }, 'one that fails among others is noise')
  const disturbed = [true, false, false, false, false, false].map((holds, index) => [trial(100 + 10 * index, holds, { isDisturbed: !holds })])
  t.strictSame(placeOf(disturbed), { is: 'within' }, 'loads that only failed because of others say nothing yet')
  t.match(placeOf([[trial(100, true)], [trial(110, false, { void: 'late' }), trial(110, true)]]), { is: 'above' })
})

t.test('it keeps within what is allowed, and ends where the server or the generator does', async (t) => {
  const end = async (parts: Partial<SearchParts>): Promise<Found | null> => await new Search({ ...partsOf(serverWith({ most: 1_000 })), ...parts }).upward(8, 0)
  t.strictSame(await end({ most: () => 100 }), { about: null, held: 100, generator: null })
  t.equal(await end({ attempt: async () => null }), null)
  let most = 1_000
  t.strictSame(await end({ most: () => most, attempt: async (load) => { if (load <= 50) return await serverWith({ most: 1_000 }).attempt(load); most = 50; return 'refused' } }), { about: null, held: 50, generator: null })
  t.strictSame(await end({ attempt: async (load) => ({ load, achieved: load, holds: load < 100, isBehind: false, isDisturbed: false, void: load < 100 ? null : 'the generator was late' }) }), { about: null, held: 72, generator: 'the generator was late' })
})
