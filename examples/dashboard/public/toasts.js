import { element } from './elements.js'

const atMost = 3
const lastMs = 6000

/**
 * Shows a text for a few seconds in the corner of the page.
 *
 * @param {string} text
 * @param {'notice' | 'live' | 'hold' | 'fault'} kind
 */
export function toast (text, kind) {
  const toasts = element('toasts')
  // The same trouble again is not news.
  for (const other of toasts.children) if (other.dataset.text === text) other.remove()
  const item = document.createElement('div')
  item.className = 'toast'
  item.dataset.kind = kind
  item.dataset.text = text
  const words = document.createElement('p')
  words.textContent = text
  const close = document.createElement('button')
  close.type = 'button'
  close.className = 'quiet'
  close.setAttribute('aria-label', 'Dismiss')
  close.textContent = '×'
  close.addEventListener('click', () => item.remove())
  item.append(words, close)
  toasts.append(item)
  while (toasts.children.length > atMost) toasts.firstElementChild.remove()
  setTimeout(() => item.remove(), lastMs)
}
