/** The polynomial of CRC-32, its bits reversed: bit 31 stands for x⁰. */
const polynomial = 0xedb88320
const one = 0x80000000

/** x to the power of 2ⁿ, for every n. */
const powers = new Int32Array(32)
powers[0] = one >>> 1
for (let exponent = 1; exponent < powers.length; exponent++) powers[exponent] = multiply(powers[exponent - 1]!, powers[exponent - 1]!)

/** The product of two polynomials over GF(2), modulo that of CRC-32. */
function multiply (left: number, right: number): number {
  let product = 0
  let factor = right
  for (let rest = left; rest !== 0; rest <<= 1) {
    // Without branches: the bits are as good as random.
    product ^= factor & (rest >> 31)
    factor = (factor >>> 1) ^ (polynomial & -(factor & 1))
  }
  return product
}

/**
 * The factor for {@link combineCrc32} of a second piece of `bytes`; worth keeping where the
 * same piece follows many others.
 */
export function crc32Shift (bytes: number): number {
  let shift = one
  // The length in bits, from its lowest bit on; a byte has 2³ of them.
  for (let rest = bytes, exponent = 3; rest >= 1; rest = Math.floor(rest / 2), exponent++) {
    if (rest % 2 === 1) shift = multiply(powers[exponent & 31]!, shift)
  }
  return shift
}

/**
 * The CRC-32 of two pieces joined, from that of each.
 *
 * @param shift of the second piece's length
 */
export function combineCrc32 (first: number, second: number, shift: number): number {
  return (multiply(shift, first) ^ second) >>> 0
}
