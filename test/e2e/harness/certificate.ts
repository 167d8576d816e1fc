import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export interface Certificate {
  /** PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

// The parts of DER that a certificate needs: Node reads X.509 but cannot write it.
function tagged (tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  if (length < 128) return Buffer.concat([Buffer.from([tag, length]), content])
  const octets = length < 256 ? [length] : [length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, 128 | octets.length, ...octets]), content])
}

const sequence = (...parts: Buffer[]) => tagged(0x30, ...parts)
const set = (...parts: Buffer[]) => tagged(0x31, ...parts)
const integer = (...octets: number[]) => tagged(0x02, Buffer.from(octets))
const identifier = (...octets: number[]) => tagged(0x06, Buffer.from(octets))
const bits = (content: Buffer) => tagged(0x03, Buffer.from([0]), content)
const octets = (content: Buffer) => tagged(0x04, content)
const time = (date: Date) => tagged(0x17, Buffer.from(date.toISOString().replace(/^\d\d|[-:T]|\.\d+/g, '')))

const dayMs = 86_400_000

function selfSigned (): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ecdsaWithSha256 = sequence(identifier(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
  const name = sequence(set(sequence(identifier(0x55, 0x04, 0x03), tagged(0x0c, Buffer.from('localhost')))))
  const alternativeNames = sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.from([127, 0, 0, 1])))
  const now = Date.now()
  const content = sequence(
    tagged(0xa0, integer(2)),
    integer(1, ...randomBytes(8)),
    ecdsaWithSha256,
    name,
    sequence(time(new Date(now - dayMs)), time(new Date(now + dayMs))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(
      sequence(identifier(0x55, 0x1d, 0x13), tagged(0x01, Buffer.from([0xff])), octets(sequence(tagged(0x01, Buffer.from([0xff]))))),
      sequence(identifier(0x55, 0x1d, 0x11), octets(alternativeNames))
    ))
  )
  const der = sequence(content, ecdsaWithSha256, bits(sign('sha256', content, privateKey)))
  const lines = der.toString('base64').match(/.{1,64}/g)!.join('\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  }
}

let made: Certificate | undefined

/** A self-signed certificate for localhost and 127.0.0.1, made once per process. */
export function certificate (): Certificate {
  return made ??= selfSigned()
}
