/** The longest time of a timer, in milliseconds. `setTimeout` uses a signed 32-bit integer; a longer timer fires at once. */
export const longestTimerMs = 2_147_483_647
