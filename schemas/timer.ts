/** The longest time of a timer, in milliseconds: `setTimeout` counts in a signed 32-bit integer, and fires at once beyond. */
export const longestTimerMs = 2_147_483_647
