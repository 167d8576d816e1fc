import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { until } from '../e2e/harness/until.ts'
import { freePort } from '../harness/free-port.ts'
import { launchBrowser } from './harness/browser.ts'
import { startExample } from './harness/example.ts'
import type { Message } from './harness/received.ts'
import { openTab } from './harness/tab.ts'

const browser = await launchBrowser(t)
const example = await startExample(t, 'start:react', await freePort())

const isTaken = (name: string, perSecond: number) => (message: Message) => message.name === 'tether.topic' && message.data.ok && message.data.name === `series?name=${name}&perSecond=${perSecond}`

t.test('widgets show this machine, at the pace of their tab', async (t) => {
  const tab = await openTab(browser, example.url)
  await tab.says('#state', /^open new$/)
  await tab.says('#cpu p', /^\d+ %$/)
  await tab.says('#memory p', /^[\d.]+ MB$/)
  await tab.when('() => document.querySelector("#cpu polyline").points.length > 1')
  await tab.page.getByLabel('Samples a second').selectOption('30')
  await tab.message('the pace', isTaken('cpu', 30))
  const seen = tab.messages.length
  await tab.message('a sample of it', ({ name }) => name === 'sample@series?name=cpu&perSecond=30', seen)
  await tab.says('#cpu p', /^\d+ %$/)
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('a series that is switched off is not sent, and one that is switched on has its last minute', async (t) => {
  const tab = await openTab(browser, example.url)
  await tab.says('#heap p', /MB$/)
  const box = tab.page.getByRole('checkbox', { name: 'Heap' })
  await box.uncheck()
  await tab.page.locator('#heap').waitFor({ state: 'detached' })
  const sample = ({ name }: Message) => name.startsWith('sample@series?name=heap&')
  const count = (from: number, isWanted: (message: Message) => boolean) => tab.messages.slice(from).filter(isWanted).length
  const cpu = ({ name }: Message) => name.startsWith('sample@series?name=cpu&')
  let from = tab.messages.length
  await until(() => count(from, cpu) >= 5, 'what was on its way')
  from = tab.messages.length
  await until(() => count(from, cpu) >= 5, 'samples of others')
  t.equal(count(from, sample), 0)
  await box.check()
  await tab.says('#heap p', /MB$/)
  await tab.when('() => document.querySelector("#heap polyline").points.length > 1')
  t.same(tab.complaints, [])
  await tab.context.close()
})

t.test('a notice reaches every tab, and its reply says how many', async (t) => {
  const [tab, other] = [await openTab(browser, example.url), await openTab(browser, example.url)]
  for (const { says } of [tab, other]) await says('#state', /^open/)
  await tab.page.getByLabel('Notice to all tabs').fill('<b>Deploying</b>')
  await tab.page.getByRole('button', { name: 'Send' }).click()
  await tab.says('#outcome', /^Sent to \d+ tabs$/)
  for (const { says } of [tab, other]) await says('#notice', /^<b>Deploying<\/b>$/)
  t.same([...tab.complaints, ...other.complaints], [])
  for (const { context } of [tab, other]) await context.close()
})

t.test('is as short as the guide says', (t) => {
  const folder = fileURLToPath(new URL('../../examples/react', import.meta.url))
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.\w+$/.test(file) && !file.startsWith('dist'))
  const lines = files.reduce((sum, file) => sum + readFileSync(join(folder, file), 'utf8').trimEnd().split('\n').length, 0)
  t.ok(lines < 150, `${lines} lines in ${files}`)
  t.end()
})
