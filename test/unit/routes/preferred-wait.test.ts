import t from 'tap'
import { preferredWait } from '../../../plugin/routes/preferred-wait.ts'

t.test('the header Prefer', async (t) => {
  const cases: Array<[string | string[] | undefined, number | null]> = [
    [undefined, null],
    ['', null],
    ['wait=10', 10],
    ['WAIT = 10', 10],
    ['wait="10"', 10],
    ['respond-async, wait=10', 10],
    ['respond-async; foo="a, wait=3"; bar, wait=10; baz', 10],
    ['handling="lenient \\" wait=3", wait=10', 10],
    [['respond-async', 'wait=7'], 7],
    ['wait=1, wait=2', 1],
    ['wait=0', 0],
    ['wait', null],
    ['wait=', null],
    ['wait=-1', null],
    ['wait=1.5', null],
    ['wait=x, wait=2', null],
    ['wait=9999999999', 9_999_999_999],
    ['await=5', null],
    [`${'"a'.repeat(20_001)}wait=1`, null]
  ]
  for (const [header, seconds] of cases) t.equal(preferredWait(header), seconds, JSON.stringify(header)?.slice(0, 80))
})
