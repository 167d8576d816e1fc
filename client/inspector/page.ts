import type { inspectorContract, Detail, Table, Totals } from '../../schemas/inspector.ts'
import { connect } from '../index.ts'
import { byId, make, reconcile, say } from './dom.ts'
import { count } from './format.ts'
import { SessionDetail } from './session-detail.ts'
import { keyOf, SessionList } from './session-list.ts'
import { Tiles } from './tiles.ts'

/** A tab that is hidden for this long lets its stream go: then the server has nothing to do for it. */
const hiddenMs = 15_000

const none = { node: '', key: '' }

const live = connect<typeof inspectorContract>(new URL('live', location.href).href, {
  hiddenMs,
  leaveOnHide: true,
  setup: async (emit) => {
    const settled = [emit('view', list.view), emit('select', detail.target ?? none)]
    await Promise.all(settled)
  }
})

/** An event that is refused is sent again with the next session. */
const ignore = () => {}

const tiles = new Tiles()
const list = new SessionList((view) => { live.emit('view', view).catch(ignore) }, (row) => {
  detail.open(row)
  list.choose(keyOf(row))
  live.emit('select', { node: row.node, key: row.key }).catch(ignore)
})
const detail = new SessionDetail({
  close: async (target) => (await live.request('close', target)).done,
  slow: async (target, paceMs) => (await live.request('slow', { ...target, paceMs })).done
}, () => {
  const { target } = detail
  detail.leave()
  list.choose('')
  if (target !== null) list.focus(keyOf(target))
  live.emit('select', none).catch(ignore)
})

// What comes while the page is paused is shown afterwards, the latest of each.
const pause = byId('pause')
let isPaused = false
let held: { totals?: Totals, table?: Table, detail?: Detail } = {}

pause.addEventListener('click', () => {
  isPaused = !isPaused
  pause.setAttribute('aria-pressed', String(isPaused))
  if (isPaused) return
  const { totals, table, detail: latest } = held
  held = {}
  tiles.drawHeld()
  if (totals !== undefined) showTotals(totals)
  if (table !== undefined) list.show(table)
  if (latest !== undefined) detail.show(latest)
})

live.on('about', ({ node, urls, ...about }) => {
  say(byId('node'), node ?? '')
  byId('cluster').hidden = node === null
  list.begin(node, urls)
  detail.begin(about)
})
live.on('history', ({ samples }) => { tiles.join(samples) })
live.on('totals', (totals) => {
  tiles.add(totals.sample, isPaused)
  if (isPaused) held.totals = totals
  else showTotals(totals)
})
live.on('table', (table) => {
  // A page that was turned while it is paused is shown.
  if (isPaused && byId('table').getAttribute('aria-busy') !== 'true') held.table = table
  else list.show(table)
})
live.on('detail', (latest) => {
  if (isPaused && !byId('found').hidden) held.detail = latest
  else detail.show(latest)
})

function showTotals ({ sample, maxSessions, draining, cluster, nodes }: Totals): void {
  const flags = [
    ...draining ? ['draining'] : [],
    ...cluster !== null && cluster !== 'ready' ? [cluster] : [],
    ...sample.sessions >= maxSessions ? ['full'] : [],
    ...sample.stalled > 0 ? [`${count(sample.stalled)} stalled`] : []
  ]
  reconcile(byId('flags'), flags, (flag) => flag.replace(/^[\d,]+ /, ''), () => make('li'), (item, flag) => { say(item, flag) })
  list.setNodes(nodes.map(({ name }) => name))
  reconcile(byId('nodes'), nodes, ({ name }) => name, () => make('li'), (item, { name, isSelf, sessions, draining: drains }) => {
    say(item, `${name}: ${count(sessions)} sessions${isSelf ? ', this node' : ''}${drains ? ', draining' : ''}`)
  })
}

const line = byId('line')
live.onState((state, { reason, code }) => {
  line.dataset.state = state
  const why = reason ?? code
  say(line, state === 'open' ? 'Live' : state === 'connecting' ? 'Connecting' : state === 'closed' ? `Ended${why === undefined ? '' : ` (${why})`}: load the page again` : `Line away${why === undefined ? '' : ` (${why})`}, trying again`)
})
