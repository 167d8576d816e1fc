/** Events by which a page subscribes to a topic, and the update that tells the outcome. No contract can declare them. */
export const subscribeEvent = 'tether.subscribe'
export const unsubscribeEvent = 'tether.unsubscribe'
export const outcomeUpdate = 'tether.topic'
/** The update before retained values that a session has got before. */
export const valuesUpdate = 'tether.values'

/** Codes of a subscription that is refused, or taken back. */
export const refusedCode = 'TETHER_REFUSED'
export const revokedCode = 'TETHER_REVOKED'
