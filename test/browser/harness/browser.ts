import { chromium, type Browser, type BrowserContext } from 'playwright-core'
import type { Test } from 'tap'
import { freePort } from '../../harness/free-port.ts'

// Of several such switches Chromium takes the last, which is ours: so the first line names
// again what Playwright turns off. The second is what a window costs most of its time for, and
// no page gets anything of it: popups of the address bar, and a process in advance.
const disabledFeatures = [
  'AimEnabled', 'AvoidCorsURLLoaderRestartOnRedirect', 'AvoidUnnecessaryBeforeUnloadCheckSync', 'DestroyProfileOnBrowserClose', 'HttpsFirstBalancedModeAutoEnable', 'HttpsUpgrades', 'LensOverlay', 'MediaRouter', 'NetworkTimeServiceQuerying', 'OptimizationHints', 'PaintHolding', 'PreconnectToSearch', 'ThirdPartyStoragePartitioning',
  'SpareRendererForSitePerProcess', 'WebUIOmniboxAimPopup', 'WebUIOmniboxPopup'
]

/** Chromium without a window. */
export function startBrowser (...args: string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', `--disable-features=${disabledFeatures.join()}`, ...args],
    // Far more than it takes, for machines that are busy with other tests.
    timeout: 60_000
  })
}

/** Chromium without a window; it is gone when the test ends. */
export async function launchBrowser (t: Test): Promise<Browser> {
  const browser = await startBrowser()
  t.teardown(() => browser.close())
  return browser
}

/**
 * A context in which pages are hidden and frozen as those of a user are: else Playwright lets each think that it is looked at.
 */
export async function launchPlainContext (t: Test): Promise<BrowserContext> {
  const port = await freePort()
  const launched = await startBrowser(`--remote-debugging-port=${port}`)
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true })
  t.teardown(async () => {
    await browser.close()
    await launched.close()
  })
  return browser.contexts()[0]!
}
