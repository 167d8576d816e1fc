import { element, write } from './elements.js'
import { clock } from './format.js'
import { faultOf } from './faults.js'
import { toast } from './toasts.js'

const atMost = 30

/** The form that sends notices and shows their outcome. */
export class NoticeForm {
  #live
  #line
  /** Notices without a reply yet. */
  #pending = 0
  #outcome = ''

  /**
   * @param {import('fastify-tether/client').Connection} live
   * @param {import('./line.js').Line} line
   */
  constructor (live, line) {
    this.#live = live
    this.#line = line
    element('notice-form').addEventListener('submit', (event) => {
      event.preventDefault()
      const text = element('notice-text').value.trim()
      if (text !== '') this.#send(text)
    })
  }

  show () {
    write(element('notice-status'), this.#pending === 0 ? this.#outcome : this.#line.state === 'live' ? 'Sending…' : this.#waitingInWords())
  }

  #waitingInWords () {
    return this.#pending === 1
      ? 'Not sent yet: the line is away. It will be sent as soon as the line is back.'
      : `${this.#pending} notices are not sent yet: the line is away. They will be sent as soon as it is back.`
  }

  async #send (text) {
    const input = element('notice-text')
    input.value = ''
    element('notice-fault').textContent = ''
    input.removeAttribute('aria-invalid')
    this.#pending++
    try {
      const reply = this.#live.request('notice.send', { text })
      this.show()
      const { tabs } = await reply
      this.#outcome = `Sent at ${clock(Date.now())} to ${tabs === 1 ? '1 tab' : `${tabs} tabs`}.`
    } catch (error) {
      this.#outcome = ''
      element('notice-fault').textContent = `Not sent: “${text}”. ${faultOf(error)}`
      input.setAttribute('aria-invalid', 'true')
      if (input.value === '') input.value = text
    } finally {
      this.#pending--
      this.show()
    }
  }
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
