/**
 * What the server makes of the session that a GET names.
 *
 * * `new`: it names none.
 * * `resumed`: every update after the number it names follows.
 * * `gap`: some of them are lost; what is held follows, and `onConnect` sends a snapshot.
 * * `expired`: there is no such session for this client any more; a new one was made.
 */
export type Verdict = 'new' | 'resumed' | 'gap' | 'expired'
