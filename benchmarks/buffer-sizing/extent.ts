/** Default extent of a run; lists in the form of the command line. */
export interface Extent {
  readonly writeBuffers: string
  readonly commandBuffers: string
  readonly updateSizes: string
  readonly updates: string
  readonly rates: string
  readonly sessions: number
  readonly repeats: number
  readonly seconds: number
  readonly tailSeconds: number
  readonly idleStreams: number
  readonly minutes: number
  readonly crossed: boolean
}

export const powersOfTwo = '1,2,4,8,16,32,64,128,256'

const usual: Extent = {
  writeBuffers: powersOfTwo,
  commandBuffers: '16,64,256',
  updateSizes: '2KB',
  updates: '16',
  rates: '40',
  sessions: 4,
  repeats: 5,
  seconds: 4,
  tailSeconds: 1,
  idleStreams: 1_000,
  minutes: 20,
  crossed: false
}

export const extents = {
  usual,
  quick: { ...usual, writeBuffers: '1,4,64', commandBuffers: '64', sessions: 2, repeats: 3, seconds: 1, tailSeconds: 0.5, idleStreams: 500, minutes: 1.7 },
  full: { ...usual, updateSizes: '200B,2KB,20KB', updates: '4,16', rates: '10,40', seconds: 10, tailSeconds: 10, idleStreams: 2_000, minutes: 720, crossed: true }
} satisfies Record<string, Extent>
