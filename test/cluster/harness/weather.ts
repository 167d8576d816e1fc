import type { Site, WeatherNode } from './weather-site.ts'
import { until } from '../../e2e/harness/until.ts'
import { Tab } from './tabs.ts'

/** An event with a number. */
export const say = (text: string, seq: number) => ({ event: 'say', data: { text }, seq })

/** A page on each node, each with one broadcast of each node: all have read the log then. */
export async function openPages<Nodes extends readonly WeatherNode[]> (site: Site, nodes: Nodes, path = '/move'): Promise<{ [At in keyof Nodes]: Tab }> {
  for (const { readers } of site.living) for (const reader of readers) reader.destroy()
  await site.isCalm()
  const tabs = await Promise.all(nodes.map((node) => Tab.open(node, { path })))
  await Promise.all(nodes.map((node, at) => node.call('broadcast', path, [`start:${at}`])))
  for (const tab of tabs) await until(() => tab.all.length === nodes.length, 'the first updates')
  return tabs as { [At in keyof Nodes]: Tab }
}

/** What a page got behind the first updates, but for private updates and snapshots. */
export function broadcastsAt (tab: Tab): string[] {
  return tab.all.filter((text) => !/^start:|own$|^snapshot$/.test(text))
}

/** Whether `got` is `whole` with parts missing, each told by a GAP at its place. */
export function holesAreTold (got: readonly string[], whole: readonly string[]): boolean {
  let place = 0
  let mayMiss = false
  for (const text of got) {
    if (text === 'GAP') {
      mayMiss = true
      continue
    }
    const found = whole.indexOf(text, place)
    if (found === -1 || (found > place && !mayMiss)) return false
    place = found + 1
    mayMiss = false
  }
  return place === whole.length || mayMiss
}

/** Whether a page was told that its stream ends, and why. */
export function isTold ({ reader }: Tab, reason: string): boolean {
  return reader.controls.some((control) => control.type === 'goodbye' && control.reason === reason)
}

/** The texts of a session's events, at the node that has it; null if none has. */
export async function saidAnywhere (site: Site, session: string, url = '/move'): Promise<string[] | null> {
  for (const node of site.living) {
    const said = await node.call('said', url, session)
    if (said !== null) return said
  }
  return null
}
