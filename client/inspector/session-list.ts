import type { Row, SortKey, Table, View } from '../../schemas/inspector.ts'
import { byId, make, reconcile, say } from './dom.ts'
import { bytes, count, duration } from './format.ts'

/** A small screen is not filled with rows before all else. */
const pageRows = matchMedia('(max-width: 40rem)').matches ? 20 : 50

interface Column {
  readonly label: string
  readonly sort?: SortKey
  readonly isNumber?: boolean
  readonly ofCluster?: boolean
  readonly fill: (cell: HTMLElement, row: Row) => void
}

const columns: readonly Column[] = [
  { label: 'Session', fill: (cell, row) => { say(cell.firstElementChild ?? cell, row.session) } },
  { label: 'URL', sort: 'url', fill: (cell, row) => { say(cell, row.url) } },
  { label: 'State', fill: (cell, row) => { say(cell, row.paceMs > 0 ? `${row.state}, slowed` : row.state) } },
  { label: 'Transport', sort: 'transport', fill: (cell, row) => { say(cell, row.transport ?? '–') } },
  { label: 'Queue', sort: 'queue', isNumber: true, fill: (cell, row) => { mark(cell, row.queuedFrames > 0 ? `${count(row.queuedFrames)} (${bytes(row.queuedBytes)})` : '0', row.queuedFrames > 0 ? 'warn' : '') } },
  { label: 'Stall', sort: 'stall', isNumber: true, fill: (cell, row) => { mark(cell, row.stalledMs > 0 ? duration(row.stalledMs) : '–', row.stalledMs > 0 ? 'bad' : '') } },
  { label: 'Commands', sort: 'commands', isNumber: true, fill: (cell, row) => { say(cell, count(row.commands)) } },
  { label: 'Age', sort: 'age', isNumber: true, fill: (cell, row) => { say(cell, duration(row.ageMs)) } },
  { label: 'Groups', sort: 'group', fill: (cell, row) => { names(cell, row.groups) } },
  { label: 'Topics', sort: 'topic', fill: (cell, row) => { names(cell, row.topics) } },
  { label: 'Node', sort: 'node', ofCluster: true, fill: (cell, row) => { say(cell, row.node) } }
]

function mark (cell: HTMLElement, text: string, kind: string): void {
  say(cell, text)
  cell.className = `number ${kind}`.trim()
}

function names (cell: HTMLElement, { first, count: all }: Row['groups']): void {
  const more = all - first.length
  const text = all === 0 ? '–' : first.join(', ') + (more > 0 ? ` and ${count(more)} more` : '')
  say(cell, text)
  cell.classList.add('names')
  cell.title = all === 0 ? '' : text
}

/** The table of sessions with its filter and its pages. The server sorts; this asks. */
export class SessionList {
  #view: View = { sort: 'queue', descending: true, offset: 0, limit: pageRows, session: '', url: '', state: '', transport: '', node: '', group: '', topic: '', stalled: false }
  #table: Table | null = null
  #isCluster = false
  #chosen = ''
  readonly #rows = byId('rows')
  readonly #previous = byId<HTMLButtonElement>('previous')
  readonly #next = byId<HTMLButtonElement>('next')
  readonly #onView: (view: View) => void
  readonly #onChoose: (row: Row) => void
  #typing: ReturnType<typeof setTimeout> | undefined

  constructor (onView: (view: View) => void, onChoose: (row: Row) => void) {
    this.#onView = onView
    this.#onChoose = onChoose
    const form = byId<HTMLFormElement>('filter')
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#readFilter(form)
    })
    form.addEventListener('input', ({ target }) => {
      clearTimeout(this.#typing)
      this.#typing = setTimeout(() => { this.#readFilter(form) }, (target as HTMLInputElement).type === 'text' ? 300 : 0)
    })
    form.addEventListener('reset', () => { this.#typing = setTimeout(() => { this.#readFilter(form) }) })
    this.#previous.addEventListener('click', () => { this.#go(-pageRows) })
    this.#next.addEventListener('click', () => { this.#go(pageRows) })
    this.#drawHeads()
  }

  get view (): View { return this.#view }

  /** @param node null without a cluster */
  begin (node: string | null, urls: readonly string[]): void {
    this.#isCluster = node !== null
    byId('filter').querySelector<HTMLElement>('.of-cluster')!.hidden = !this.#isCluster
    this.#offer('url', urls)
    this.#drawHeads()
  }

  setNodes (nodes: readonly string[]): void {
    this.#offer('node', nodes)
  }

  #offer (name: string, values: readonly string[]): void {
    const list = byId('filter').querySelector<HTMLSelectElement>(`select[name=${name}]`)!
    const known = [...list.options].slice(1).map(({ value }) => value)
    if (known.length === values.length && known.every((value, index) => value === values[index])) return
    const { value } = list
    list.replaceChildren(list.options[0]!, ...values.map((text) => {
      const option = make('option', '', text)
      option.value = text
      return option
    }))
    list.value = values.includes(value) ? value : ''
  }

  #readFilter (form: HTMLFormElement): void {
    clearTimeout(this.#typing)
    const data = new FormData(form)
    const text = (name: string) => String(data.get(name) ?? '').trim()
    this.#change({
      session: text('session'),
      url: text('url'),
      state: text('state') as View['state'],
      transport: text('transport') as View['transport'],
      node: text('node'),
      group: text('group'),
      topic: text('topic'),
      stalled: data.get('stalled') !== null,
      offset: 0
    })
  }

  #go (by: number): void {
    this.#change({ offset: Math.max(0, this.#view.offset + by) })
  }

  #change (part: Partial<View>): void {
    this.#view = { ...this.#view, ...part }
    byId('table').setAttribute('aria-busy', 'true')
    this.#onView(this.#view)
  }

  #drawHeads (): void {
    const { sort, descending } = this.#view
    reconcile(byId('heads'), this.#columns, ({ label }) => label, (column) => {
      const head = make('th', column.isNumber === true ? 'number' : '')
      head.setAttribute('scope', 'col')
      const { sort: key } = column
      if (key === undefined) {
        head.textContent = column.label
        return head
      }
      const button = make('button', '', column.label)
      button.type = 'button'
      button.addEventListener('click', () => { this.#sortBy(key, column.isNumber === true) })
      head.append(button)
      return head
    }, (head, column) => {
      if (column.sort !== undefined && column.sort === sort) head.setAttribute('aria-sort', descending ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    })
  }

  get #columns (): readonly Column[] {
    return columns.filter(({ ofCluster }) => ofCluster !== true || this.#isCluster)
  }

  #sortBy (sort: SortKey, isNumber: boolean): void {
    // The largest numbers, and the first names, are looked for first.
    const descending = this.#view.sort === sort ? !this.#view.descending : isNumber
    this.#change({ sort, descending, offset: 0 })
    this.#drawHeads()
  }

  /** Marks the session that is looked at. */
  choose (key: string): void {
    this.#chosen = key
    for (const row of this.#rows.children as Iterable<HTMLElement>) markChosen(row, key)
  }

  /** Gives the focus to a session's row, or to the table. */
  focus (key: string): void {
    const row = [...this.#rows.children].find((element) => (element as HTMLElement).dataset.key === key)
    ;(row?.querySelector('button') ?? byId('sessions')).focus()
  }

  show (table: Table): void {
    this.#table = table
    const { total, matching, rows, tookMs, silent } = table
    // Sessions have ended, and the page with them.
    if (rows.length === 0 && matching > 0 && table.offset === this.#view.offset && table.offset > 0) this.#change({ offset: Math.floor((matching - 1) / pageRows) * pageRows })
    byId('table').setAttribute('aria-busy', String(table.offset !== this.#view.offset))
    reconcile(this.#rows, rows, keyOf, (row) => this.#makeRow(row), (element, row) => { this.#fillRow(element, row) })
    byId('empty').hidden = rows.length > 0
    const missing = silent.length === 0 ? '' : ` ${silent.length === 1 ? 'A node' : `${silent.length} nodes`} gave no answer: ${silent.join(', ')}.`
    say(byId('count'), `${matching === total ? count(total) : `${count(matching)} of ${count(total)}`}, read in ${duration(tookMs)}.${missing}`)
    say(byId('place'), rows.length === 0 ? '' : `${count(table.offset + 1)}–${count(table.offset + rows.length)} of ${count(matching)}`)
    this.#enable(this.#previous, table.offset > 0)
    this.#enable(this.#next, table.offset + rows.length < matching)
  }

  /** A button that has the focus keeps it when it can do nothing more. */
  #enable (button: HTMLButtonElement, isOn: boolean): void {
    if (!isOn && document.activeElement === button) byId('sessions').querySelector<HTMLElement>('.scroll')!.focus({ preventScroll: true })
    button.disabled = !isOn
  }

  #makeRow (row: Row): HTMLElement {
    const element = make('tr')
    const key = keyOf(row)
    columns.forEach((column, index) => {
      const cell = make('td', column.isNumber === true ? 'number' : '')
      if (index === 0) {
        const button = make('button')
        button.type = 'button'
        button.addEventListener('click', () => {
          const current = this.#table?.rows.find((other) => keyOf(other) === key)
          if (current !== undefined) this.#onChoose(current)
        })
        cell.append(button)
      }
      element.append(cell)
    })
    return element
  }

  #fillRow (element: HTMLElement, row: Row): void {
    columns.forEach(({ fill, ofCluster }, index) => {
      const cell = element.children[index] as HTMLElement
      cell.hidden = ofCluster === true && !this.#isCluster
      fill(cell, row)
    })
    markChosen(element, this.#chosen)
  }
}

export function keyOf ({ node, key }: { readonly node: string, readonly key: string }): string {
  return `${node} ${key}`
}

function markChosen (row: HTMLElement, key: string): void {
  if (row.dataset.key === key) row.dataset.chosen = ''
  else delete row.dataset.chosen
  if (row.dataset.key === key) row.querySelector('button')?.setAttribute('aria-current', 'true')
  else row.querySelector('button')?.removeAttribute('aria-current')
}
