import { Type } from '@sinclair/typebox'
import { conflate, defineContract, text } from 'fastify-tether'

export const moods = ['good', 'so-so', 'bad'] as const
export type Mood = typeof moods[number]

/** Seconds between two pictures of the load that a tab may choose. */
export const paces = [1, 5, 15] as const
export type Pace = typeof paces[number]

// What is sent is HTML, ready to be swapped in; what is posted are the fields of a form.
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
    load: conflate(text()), // a reader that is slow gets the newest picture only
    moods: conflate(text()),
    pace: text()
  }
})
