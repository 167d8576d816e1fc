const names = String.raw`[\w$\s,{}:]*`
const declaration = String.raw`(?:function\b\s*)?(?:[\w$]*|'[^'\\\n]*'|"[^"\\\n]*")\s*\(${names}\)\s*\{`
const arrow = String.raw`(?:\(${names}\)|[\w$]+)\s*=>\s*\{`
const start = new RegExp(`^(?:${declaration}|${arrow})`)

/**
 * Whether a function certainly returns no value, so that its caller has nothing to wait for: it is
 * neither async nor a generator, its parameters are plain names, its body is a block, and it has
 * no `return`.
 *
 * False means unknown, as for a native or bound function.
 */
export function isSyncCallback (callback: unknown): boolean {
  if (typeof callback !== 'function' || Object.getPrototypeOf(callback) !== Function.prototype) return false
  const text = Function.prototype.toString.call(callback)
  return start.test(text) && !text.includes('return') && !text.includes('[native code]')
}
