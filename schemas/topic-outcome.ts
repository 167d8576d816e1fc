/** The outcome of a subscription: the data of the update `tether.topic`. */
export interface TopicOutcome {
  topic: string
  /** As the client sent them. */
  params: Record<string, unknown>
  /** The topic's name, with defaults filled in; its updates have it behind the `@`. */
  name: string
  ok: boolean
  /** Absent where `ok` is true. */
  code?: string | undefined
  message?: string | undefined
}
