const names = String.raw`[\w$\s,{}:]*`
const declaration = String.raw`(?:function\b\s*)?(?:[\w$]*|'[^'\\\n]*'|"[^"\\\n]*")\s*\(${names}\)\s*\{`
const arrow = String.raw`(?:\(${names}\)|[\w$]+)\s*=>\s*\{`
const start = new RegExp(`^(?:${declaration}|${arrow})`)

/**
 * Whether a function surely gives nothing back, so that all that it does for its
 * caller is done when it returns: neither async nor a generator, with parameters
 * that are no more than names, with a block for its body, and no `return` in it.
 *
 * Of any other function, a native or bound one for instance, nothing is said.
 */
export function isSyncCallback (callback: unknown): boolean {
  if (typeof callback !== 'function' || Object.getPrototypeOf(callback) !== Function.prototype) return false
  const text = Function.prototype.toString.call(callback)
  return start.test(text) && !text.includes('return') && !text.includes('[native code]')
}
