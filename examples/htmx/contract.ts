import { Type } from '@sinclair/typebox'
import { conflate, defineContract, text } from 'fastify-tether'

export const moods = ['good', 'so-so', 'bad'] as const
export type Mood = typeof moods[number]

/** Intervals between two pictures of the load, in seconds, from which a tab may choose. */
export const paces = [1, 5, 15] as const
export type Pace = typeof paces[number]

// Updates are HTML, ready to be swapped in; events are the fields of a form.
export const contract = defineContract({
  events: {
    'note.add': Type.Object({
      name: Type.String({ maxLength: 30 }),
      text: Type.String({ maxLength: 280, pattern: '\\S' })
    }),
    'mood.set': Type.Object({ mood: Type.Unsafe<Mood>({ type: 'string', enum: moods }) }),
    'pace.set': Type.Object({ seconds: Type.Unsafe<Pace>({ type: 'integer', enum: paces }) })
  },
  updates: {
    note: text(), // one new note
    wall: text(), // all of them, for a page that may have missed some
    load: conflate(text()), // a slow reader gets the newest picture only
    moods: conflate(text()),
    pace: text()
  }
})
