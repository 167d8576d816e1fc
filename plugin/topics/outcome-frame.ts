import { outcomeUpdate } from '../../schemas/topic-events.ts'
import type { TopicOutcome } from '../../schemas/topic-outcome.ts'
import { Frame } from '../protocol/frame.ts'

/** The update that tells a client the outcome of its subscription. */
export function outcomeFrame (outcome: TopicOutcome): Frame {
  return new Frame(`event: ${outcomeUpdate}\ndata: ${JSON.stringify(outcome)}\n\n`)
}
