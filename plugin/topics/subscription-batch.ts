import { EventError } from '../../schemas/event-error.ts'
import { refusedCode, revokedCode, subscribeEvent, unsubscribeEvent } from '../../schemas/topic-events.ts'
import { Command, isThenable } from '../commands/command-channel.ts'
import type { Subscription } from '../contract/subscription-reader.ts'
import type { TetherSession } from '../sessions/session.ts'
import type { AnyTopicConfig } from './topic-record.ts'

/** Why a subscription is refused. */
export interface Refusal {
  readonly code: string
  readonly message: string
}

/** The topics, as a batch sees them. */
export interface SubscriptionDesk {
  isSubscribed: (session: TetherSession, name: string) => boolean
  configOf: (subscription: Subscription) => AnyTopicConfig
  /** Waits until the values of a topic are here, a short time at most; undefined if they are. Call {@link forgo} afterwards. */
  await: (session: TetherSession, subscription: Subscription) => Promise<void> | undefined
  forgo: (subscription: Subscription) => void
  /** Subscribes the session, or tells it that it is refused. The promise is that of `session.send`. */
  conclude: (session: TetherSession, subscription: Subscription, refusal: Refusal | null) => Promise<boolean>
  unsubscribe: (session: TetherSession, name: string) => void
  /** A batch of the session begins, or ends. */
  begin: (session: TetherSession, batch: SubscriptionBatch) => void
  end: (session: TetherSession, batch: SubscriptionBatch) => void
}

const refused: Refusal = { code: refusedCode, message: 'the subscription is refused' }
const revoked: Refusal = { code: revokedCode, message: 'the subscription was taken back' }
const late: Refusal = { code: refusedCode, message: 'the subscription was not authorised in time' }

/** The end of a subscription. A {@link SubscriptionBatch} runs those of other topics that stand between its subscriptions. */
export class Unsubscription {
  readonly name: string
  readonly #desk: SubscriptionDesk
  readonly #session: TetherSession

  constructor (desk: SubscriptionDesk, session: TetherSession, name: string) {
    this.#desk = desk
    this.#session = session
    this.name = name
  }

  /** The command that runs it. */
  toCommand (): Command {
    const command = new Command(unsubscribeEvent, () => this.run())
    command.joint = this
    return command
  }

  run (): void {
    this.#desk.unsubscribe(this.#session, this.name)
  }
}

/**
 * Subscriptions of one session that directly follow each other, but for the end of others. They are authorised at the same
 * time, and concluded one at a time, while the client takes what they send.
 */
export class SubscriptionBatch {
  readonly #desk: SubscriptionDesk
  readonly #session: TetherSession
  readonly #subscription: Subscription
  /** Those that are being authorised, by the names of their topics. */
  readonly #undecided = new Map<string, Subscription>()
  /** Those that are authorised, and wait for the values of their topics. */
  readonly #admitted = new Set<Subscription>()
  /** Pending while a conclusion waits for room; null otherwise. */
  #turn: Promise<unknown> | null = null
  #isOver = false

  constructor (desk: SubscriptionDesk, session: TetherSession, subscription: Subscription) {
    this.#desk = desk
    this.#session = session
    this.#subscription = subscription
  }

  /** The command that runs it. */
  toCommand (): Command {
    const command = new Command(subscribeEvent, () => this.#run(), () => this.#end())
    command.joint = this
    return command
  }

  #run (): Promise<unknown> | undefined {
    const names = new Set([this.#subscription.name])
    // A second subscription to one topic is for the time after the first, and so is the end of the first.
    const following = this.#session.inbox.takeFollowing((joint) => joint instanceof Unsubscription ? !names.has(joint.name) : joint instanceof SubscriptionBatch && names.size < names.add(joint.#subscription.name).size)
    const subscriptions = [this.#subscription]
    for (const joint of following) {
      if (joint instanceof SubscriptionBatch) subscriptions.push(joint.#subscription)
      else (joint as Unsubscription).run()
    }
    this.#desk.begin(this.#session, this)
    const waits: Array<Promise<unknown>> = []
    for (const subscription of subscriptions) {
      const decision = this.#decide(subscription)
      if (decision instanceof Promise) {
        this.#undecided.set(subscription.name, subscription)
        // Otherwise it was revoked, or came too late.
        waits.push(decision.then((refusal) => this.#undecided.get(subscription.name) === subscription ? this.#decided(subscription, refusal) : undefined))
      } else {
        const wait = this.#decided(subscription, decision)
        if (wait !== undefined) waits.push(wait)
      }
    }
    if (waits.length === 0) return this.#turn ?? undefined
    return Promise.all(waits).then(() => this.#turn)
  }

  /** Gives the refusal, or null. */
  #decide (subscription: Subscription): Refusal | null | Promise<Refusal | null> {
    if (this.#desk.isSubscribed(this.#session, subscription.name)) return null
    const config = this.#desk.configOf(subscription)
    const fail = (error: unknown) => this.#refusalFor(subscription, error)
    const judge = (given: unknown) => {
      if (given === true || given === undefined) return null
      if (given === false) return refused
      return fail(new TypeError(`authorize must give true or false, or a promise for that; got ${given === null ? 'null' : typeof given}`))
    }
    try {
      const given: unknown = config.authorize?.(this.#session, subscription.params as never)
      return isThenable(given) ? Promise.resolve(given).then(judge, fail) : judge(given)
    } catch (error) {
      return fail(error)
    }
  }

  #refusalFor ({ topic }: Subscription, error: unknown): Refusal {
    if (error instanceof EventError) return { code: error.code, message: error.message }
    this.#session.counters.add('handlerErrors')
    this.#session.report(error, `topics.${topic.name}.authorize`)
    return refused
  }

  /** Concludes a subscription, at once or when the values of its topic are here. */
  #decided (subscription: Subscription, refusal: Refusal | null): Promise<void> | undefined {
    const wait = refusal === null ? this.#desk.await(this.#session, subscription) : undefined
    if (wait === undefined) {
      this.#conclude(subscription, refusal)
      return undefined
    }
    this.#undecided.set(subscription.name, subscription)
    this.#admitted.add(subscription)
    return wait.then(() => {
      if (this.#undecided.get(subscription.name) === subscription) this.#conclude(subscription, null)
      this.#desk.forgo(subscription)
    })
  }

  #conclude (subscription: Subscription, refusal: Refusal | null): void {
    this.#undecided.delete(subscription.name)
    if (this.#turn !== null) {
      this.#turn = this.#turn.then(() => this.#concludeNow(subscription, refusal))
      return
    }
    const sent = this.#concludeNow(subscription, refusal)
    if (!this.#session.feed.hasRoom) this.#turn = sent
  }

  #concludeNow (subscription: Subscription, refusal: Refusal | null): Promise<unknown> {
    return this.#desk.conclude(this.#session, subscription, refusal)
  }

  /** Refuses a subscription that is being authorised. Returns false if there is none to this topic. */
  revoke (name: string): boolean {
    const subscription = this.#undecided.get(name)
    if (subscription === undefined) return false
    this.#conclude(subscription, revoked)
    return true
  }

  #end (): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const subscription of [...this.#undecided.values()]) this.#conclude(subscription, this.#admitted.has(subscription) ? null : late)
    this.#desk.end(this.#session, this)
  }
}
