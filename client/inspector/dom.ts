/** The element of an id. The page has all that are asked for. */
export function byId<Made extends HTMLElement = HTMLElement> (id: string): Made {
  return document.getElementById(id) as Made
}

/** Makes an element with classes and text. */
export function make<Tag extends keyof HTMLElementTagNameMap> (tag: Tag, classes = '', text = ''): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag)
  if (classes !== '') element.className = classes
  if (text !== '') element.textContent = text
  return element
}

/** Changes a text only if it is another, so that nothing is read out again. */
export function say (element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/**
 * Makes the children of an element those of a list, by key, and in its order. An element that has the focus is never
 * moved, for it would lose the focus: the others move around it.
 */
export function reconcile<Item> (parent: Element, items: readonly Item[], keyOf: (item: Item) => string, create: (item: Item) => HTMLElement, update: (element: HTMLElement, item: Item) => void): void {
  const known = new Map<string, HTMLElement>()
  for (const child of [...parent.children] as HTMLElement[]) known.set(child.dataset.key ?? '', child)
  const wanted = items.map((item) => {
    const key = keyOf(item)
    let element = known.get(key)
    if (element === undefined) {
      element = create(item)
      element.dataset.key = key
    }
    known.delete(key)
    update(element, item)
    return element
  })
  for (const left of known.values()) left.remove()
  const fixed = wanted.find((element) => element.contains(document.activeElement)) ?? null
  const at = fixed === null ? wanted.length : wanted.indexOf(fixed)
  let before: Element | null = fixed
  for (let index = at - 1; index >= 0; index--) before = place(parent, wanted[index]!, before)
  before = null
  for (let index = wanted.length - 1; index > at; index--) before = place(parent, wanted[index]!, before)
}

function place (parent: Element, element: Element, before: Element | null): Element {
  if (element.nextElementSibling !== before || element.parentElement !== parent) parent.insertBefore(element, before)
  return element
}
