/** @type {(id: string) => any} */
export const element = (id) => document.getElementById(id)

/** @type {(name: string) => any} */
export const stripOf = (name) => document.querySelector(`[data-strip="${name}"]`)

/** @type {(name: string) => any} */
export const tileOf = (name) => document.querySelector(`[data-tile="${name}"]`)

/**
 * Sets a text, and leaves the page alone where it is there already.
 *
 * @param {HTMLElement} where
 * @param {string} text
 */
export function write (where, text) {
  if (where.textContent !== text) where.textContent = text
}
