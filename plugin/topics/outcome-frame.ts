import { outcomeUpdate, valuesUpdate } from '../../schemas/topic-events.ts'
import type { TopicOutcome } from '../../schemas/topic-outcome.ts'
import { Frame } from '../protocol/frame.ts'

/** The update that tells a client the outcome of its subscription. */
export function outcomeFrame (outcome: TopicOutcome): Frame {
  return new Frame(`event: ${outcomeUpdate}\ndata: ${JSON.stringify(outcome)}\n\n`)
}

/** The update that tells a client that the retained values behind it are for a part of the page that came later. */
export function valuesFrame (name: string): Frame {
  return new Frame(`event: ${valuesUpdate}\ndata: ${JSON.stringify({ name })}\n\n`)
}
