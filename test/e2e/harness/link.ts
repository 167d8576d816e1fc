import type { Test } from 'tap'
import * as links from '../../../plugin/entries/contract-tests/link.ts'
import type { Server } from './server.ts'

export type { Link } from '../../../plugin/entries/contract-tests/link.ts'

/** Puts a link before a server. It ends with the test. */
export function startLink (t: Test, server: Pick<Server, 'port'>): Promise<links.Link> {
  return links.startLink({ after: (end) => { t.teardown(end) } }, server.port)
}
