/**
 * Rules for the names of events and updates, at run time and at compile time.
 *
 * An update's name becomes the `event:` field, and in a browser the type of a DOM event.
 * An update called `error` would call `onerror`; one called `open` or `message` would look
 * like the browser's own event.
 */

const NAME = /^[A-Za-z0-9._-]{1,64}$/

/** Says why a name is not allowed; null for a name that is. */
export function nameFault (name: string): string | null {
  if (!NAME.test(name)) return 'must be 1 to 64 of the characters A-Z a-z 0-9 . _ -'
  if (name === 'open' || name === 'error' || name === 'message') return 'is an event of the browser\'s own'
  if (name.startsWith('tether')) return 'begins with "tether", which the protocol keeps for itself'
  if (name in Object.prototype || name === 'prototype') return 'is a key of every object\'s prototype'
  return null
}

type Lower = 'a' | 'b' | 'c' | 'd' | 'e' | 'f' | 'g' | 'h' | 'i' | 'j' | 'k' | 'l' | 'm' | 'n' | 'o' | 'p' | 'q' | 'r' | 's' | 't' | 'u' | 'v' | 'w' | 'x' | 'y' | 'z'
type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'
type Character = Lower | Uppercase<Lower> | Digit | '.' | '_' | '-'

type PrototypeKey =
  | 'constructor' | 'prototype' | '__proto__' | 'hasOwnProperty' | 'isPrototypeOf'
  | 'propertyIsEnumerable' | 'toLocaleString' | 'toString' | 'valueOf'
  | '__defineGetter__' | '__defineSetter__' | '__lookupGetter__' | '__lookupSetter__'

type HasOnlyNameCharacters<Rest extends string, Seen extends 1[] = []> =
  Rest extends '' ? true
    : Seen['length'] extends 64 ? false
      : Rest extends `${Character}${infer Tail}` ? HasOnlyNameCharacters<Tail, [...Seen, 1]> : false

/** `true` for a name that is allowed, otherwise a sentence that says why not. */
export type NameCheck<Name> =
  Name extends string
    ? string extends Name ? true
      : Name extends 'open' | 'error' | 'message' ? `"${Name}" is an event of the browser's own`
        : Name extends `tether${string}` ? `"${Name}" begins with "tether"`
          : Name extends PrototypeKey ? `"${Name}" is a key of every object's prototype`
            : Name extends '' ? 'a name cannot be empty'
              : HasOnlyNameCharacters<Name> extends true ? true
                : `"${Name}" must be 1 to 64 of the characters A-Z a-z 0-9 . _ -`
    : 'a name must be a string'
