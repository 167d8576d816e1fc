import { element } from './elements.js'

/** Lists the words of the page with their meaning, since a title shows only with a mouse. */
export function listWords () {
  const list = element('word-list')
  for (const place of document.querySelectorAll('[data-word]')) {
    const term = document.createElement('dt')
    term.textContent = place.dataset.word || place.textContent
    const meaning = document.createElement('dd')
    meaning.textContent = place.title
    const pair = document.createElement('div')
    pair.append(term, meaning)
    list.append(pair)
  }
}
