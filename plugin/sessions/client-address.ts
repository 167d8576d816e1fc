import { isIPv4, isIPv6 } from 'node:net'

/**
 * The public address of a request's client: an IPv4 address, or the first 64 bits of an
 * IPv6 address. Providers give each household or phone a prefix of that length.
 *
 * Null for an address that does not identify a client: loopback, private and link-local
 * addresses, addresses of a carrier or an overlay network, and text that is no address.
 */
export function publicAddress (address: string | undefined): string | null {
  if (address === undefined) return null
  // A link-local address may end in the name of its interface.
  const bare = address.split('%', 1)[0]!
  if (isIPv4(bare)) return isPublicIPv4(bare.split('.').map(Number)) ? bare : null
  if (!isIPv6(bare)) return null
  const groups = groupsOf(bare)
  const embedded = embeddedIPv4(groups)
  if (embedded !== null) return isPublicIPv4(embedded) ? embedded.join('.') : null
  const [first = 0] = groups
  const isUnspecifiedOrLoopback = groups.slice(0, 7).every((group) => group === 0)
  const isUniqueLocal = (first & 0xfe00) === 0xfc00
  const isLinkLocal = (first & 0xffc0) === 0xfe80
  if (isUnspecifiedOrLoopback || isUniqueLocal || isLinkLocal) return null
  return `${groups.slice(0, 4).map((group) => group.toString(16)).join(':')}::/64`
}

function isPublicIPv4 ([first = 0, second = 0]: readonly number[]): boolean {
  return !(first === 0 || first === 10 || first === 127 ||
    (first === 172 && second >= 16 && second < 32) ||
    (first === 192 && second === 168) ||
    (first === 169 && second === 254) ||
    (first === 100 && second >= 64 && second < 128))
}

/** The eight groups of a valid IPv6 address. */
function groupsOf (address: string): number[] {
  const [head = '', tail] = address.split('::')
  const before = read(head)
  if (tail === undefined) return before
  const after = read(tail)
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function read (part: string): number[] {
  if (part === '') return []
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [a << 8 | b, c << 8 | d]
  })
}

/** The IPv4 address within `::ffff:0:0/96` (a dual-stack socket) or `64:ff9b::/96` (a translator); null for any other. */
function embeddedIPv4 (groups: readonly number[]): number[] | null {
  const prefix = groups.slice(0, 6).map((group) => group.toString(16)).join(':')
  if (prefix !== '0:0:0:0:0:ffff' && prefix !== '64:ff9b:0:0:0:0') return null
  const [high = 0, low = 0] = groups.slice(6)
  return [high >> 8, high & 255, low >> 8, low & 255]
}
