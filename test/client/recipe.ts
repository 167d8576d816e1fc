import { Type } from '@sinclair/typebox'
import { transformSync } from 'esbuild'
import type { FastifyInstance } from 'fastify'
import { readFileSync } from 'node:fs'
import { defineContract } from '../../plugin/index.ts'

const contract = defineContract({
  events: { 'room.join': Type.Object({ room: Type.String() }), 'message.send': Type.Object({ text: Type.String() }) },
  updates: {}
})

/** The guide's recipe for `setup`, as JavaScript; `connect`, and what it shows with, are for whoever runs it. */
export function setupRecipe (): string {
  const guide = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8')
  const [, code] = /## Setup[^]*?```ts\n([^]*?)```/.exec(guide)!
  return transformSync(code!, { loader: 'ts' }).code
}

/** Mounts the server that the recipe is for: messages reach those only who have joined a room. */
export function mountRecipe (app: FastifyInstance) {
  const said: string[] = []
  const live = app.tether.stateful('/live', {
    contract,
    initialState: () => ({ room: 'none' }),
    on: {
      'room.join': (session, { room }) => { session.state.room = room },
      'message.send': (session, { text }) => { said.push(`${session.state.room}: ${text}`) }
    }
  })
  return { live, said }
}
