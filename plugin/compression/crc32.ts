/** The polynomial of CRC-32, its bits reversed: bit 31 stands for x⁰. */
const polynomial = 0xedb88320
const one = 0x80000000

/** x to the power of 2ⁿ, for every n. */
const powers = new Int32Array(32)
powers[0] = one >>> 1
for (let exponent = 1; exponent < powers.length; exponent++) powers[exponent] = multiply(powers[exponent - 1]!, powers[exponent - 1]!)

/** The product of two polynomials over GF(2), modulo the polynomial of CRC-32. */
function multiply (left: number, right: number): number {
  let product = 0
  let factor = right
  for (let rest = left; rest !== 0; rest <<= 1) {
    // The bits are nearly random, so a processor could not predict a branch.
    product ^= factor & (rest >> 31)
    factor = (factor >>> 1) ^ (polynomial & -(factor & 1))
  }
  return product
}

/**
 * The factor for {@link combineCrc32} with a second piece of `bytes`. Keep it if the same piece
 * follows many others.
 */
export function crc32Shift (bytes: number): number {
  let shift = one
  // The loop goes through the length in bits from its lowest bit on. A byte has 2³ bits.
  for (let rest = bytes, exponent = 3; rest >= 1; rest = Math.floor(rest / 2), exponent++) {
    if (rest % 2 === 1) shift = multiply(powers[exponent & 31]!, shift)
  }
  return shift
}

/**
 * The CRC-32 of two joined pieces, from the CRC-32 of each.
 *
 * @param shift the {@link crc32Shift} of the second piece's length
 */
export function combineCrc32 (first: number, second: number, shift: number): number {
  return (multiply(shift, first) ^ second) >>> 0
}
