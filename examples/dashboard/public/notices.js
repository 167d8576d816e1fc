import { element } from './elements.js'
import { clock } from './format.js'
import { faultOf } from './sender.js'
import { toast } from './toasts.js'

const atMost = 30

/**
 * Lets the form send notices.
 *
 * @param {import('./sender.js').Sender} sender
 */
export function openNoticeForm (sender) {
  element('notice-form').addEventListener('submit', async (event) => {
    event.preventDefault()
    const input = element('notice-text')
    const text = input.value.trim()
    if (text === '') return
    input.value = ''
    element('notice-fault').textContent = ''
    try {
      await sender.send('notice.send', { text })
    } catch (error) {
      element('notice-fault').textContent = faultOf(error)
      if (input.value === '') input.value = text
    }
  })
}

/**
 * Lists a notice, and says it aloud if another tab sent it.
 *
 * @param {{ text: string, from: string, t: number }} notice
 * @param {string | undefined} session this tab's own
 */
export function showNotice ({ text, from, t }, session) {
  const isMine = session?.startsWith(from) === true
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
