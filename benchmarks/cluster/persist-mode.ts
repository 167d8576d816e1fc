import { liveUrl } from '../harness/streams/socket-stream.ts'

/** Modes of `persist`. The others are compared with the first. */
export const modes = ['never', 'move', 'detach', 'command', 'event'] as const
export type PersistMode = typeof modes[number]

/** Where the endpoint of a mode is. */
export const urlOf = (mode: PersistMode): string => `${liveUrl}/${mode}`
