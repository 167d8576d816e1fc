// The application that every node runs: each event is answered by a private update, and broadcasts come from everywhere.
import { Type } from '@sinclair/typebox'
import { defineContract, request, type Session, type StatefulConfig } from '../../../plugin/index.ts'

export const contract = defineContract({
  events: { act: Type.Object({ page: Type.Integer(), k: Type.Integer() }), ask: request(Type.Object({ page: Type.Integer(), k: Type.Integer() }), Type.Object({ k: Type.Integer() })), bye: Type.Object({}) },
  updates: {
    own: Type.Object({ n: Type.Integer() }),
    all: Type.Object({ from: Type.String(), n: Type.Integer(), at: Type.Number(), padding: Type.String() }),
    snapshot: Type.Object({ own: Type.Integer() })
  }
})

export interface State { own: number, ran: number[], isRunning: boolean }
export type AppSession = Session<State, typeof contract.updates>
export type Config = StatefulConfig<typeof contract.events, typeof contract.updates, State>

/** What the application tells of its runs. */
export interface Diary {
  /** An event runs. */
  ran: (session: AppSession, page: number, k: number) => void
  fault: (what: string) => void
  hook: (name: string, session: AppSession, detail: string) => void
}

/**
 * The configuration of its endpoint.
 *
 * @param pauseMs how long the handler of an event waits; 0 for not at all
 * @param hookMs the same for a hook
 */
export function configure (diary: Diary, pauseMs: (k: number) => number, hookMs: () => number): Pick<Config, 'contract' | 'initialState' | 'on' | 'onConnect' | 'onDisconnect' | 'onGap' | 'onRestore' | 'onFreeze' | 'onClose' | 'onError'> {
  const run = async (session: AppSession, { page, k }: { readonly page: number, readonly k: number }): Promise<void> => {
    const { state } = session
    diary.ran(session, page, k)
    if (state.isRunning) diary.fault(`event ${k} runs while another does`)
    state.isRunning = true
    await wait(pauseMs(k))
    state.ran.push(k)
    state.isRunning = false
    session.send('own', { n: ++state.own })
  }
  return {
    contract,
    initialState: () => ({ own: 0, ran: [], isRunning: false }),
    on: {
      act: run,
      ask: async (session, event) => {
        await run(session, event)
        return { k: event.k }
      },
      bye: (session) => { session.close('bye') }
    },
    onConnect: (session, { verdict, live }) => {
      diary.hook('onConnect', session, verdict)
      if (verdict === 'resumed') return
      // A crash may have undone the first time.
      live.group('members').add(session)
      session.send('snapshot', { own: session.state.own })
    },
    onDisconnect: (session, reason) => {
      diary.hook('onDisconnect', session, reason)
      return wait(hookMs())
    },
    onGap: (session) => {
      diary.hook('onGap', session, '')
      session.send('snapshot', { own: session.state.own })
    },
    onRestore: (session, { from }) => {
      diary.hook('onRestore', session, from)
      if (session.state.isRunning) diary.fault('a session was restored while an event ran')
      return wait(hookMs())
    },
    onFreeze: (session) => {
      diary.hook('onFreeze', session, '')
      return wait(hookMs())
    },
    onClose: (session, reason) => { diary.hook('onClose', session, reason) },
    onError: (_session, error) => { diary.fault(`onError: ${String((error as Error).stack)}`) }
  }
}

/** Undefined for no time at all, so that a hook without a wait is synchronous. */
function wait (ms: number): Promise<void> | undefined {
  return ms > 0 ? new Promise((resolve) => { setTimeout(resolve, ms) }) : undefined
}
