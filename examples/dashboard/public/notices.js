import { element } from './elements.js'
import { clock } from './format.js'
import { toast } from './toasts.js'

const atMost = 30

/**
 * Lets the form send notices.
 *
 * @param {import('./post-queue.js').PostQueue} queue
 */
export function openNoticeForm (queue) {
  element('notice-form').addEventListener('submit', async (event) => {
    event.preventDefault()
    const input = element('notice-text')
    const text = input.value.trim()
    if (text === '') return
    input.value = ''
    element('notice-fault').textContent = ''
    const outcome = await queue.send('notice.send', { text })
    if (outcome.ok) return
    element('notice-fault').textContent = outcome.message
    if (input.value === '') input.value = text
  })
}

/**
 * Lists a notice, and says it aloud if another tab sent it.
 *
 * @param {{ text: string, from: string, t: number }} notice
 * @param {string | null} session this tab's own
 */
export function showNotice ({ text, from, t }, session) {
  const isMine = session !== null && session.startsWith(from)
  const time = document.createElement('time')
  time.dateTime = new Date(t).toISOString()
  time.textContent = clock(t)
  const head = document.createElement('p')
  head.append(time, ` ${isMine ? 'this tab' : `tab ${from}`}`)
  const body = document.createElement('p')
  body.textContent = text
  const item = document.createElement('li')
  item.append(head, body)
  const list = element('notice-list')
  list.prepend(item)
  while (list.children.length > atMost) list.lastElementChild.remove()
  element('notice-none').hidden = true
  if (!isMine) toast(text, 'notice')
}
