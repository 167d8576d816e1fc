/**
 * Why an event was not accepted, in words for a person.
 *
 * @param {import('fastify-tether/client').ClientError} error
 */
export function faultOf (error) {
  const { code, errors, message, status } = error
  // The session was gone before it answered: the event may have run there, and is not sent to another.
  if (code === 'TETHER_IN_DOUBT') return 'No answer came. It may have arrived all the same.'
  if (errors?.length > 0) return errors.map(({ path, message }) => `${path || 'body'} ${message}`).join('; ')
  return code === undefined ? `The server answered ${status}.` : `${message} (${code})`
}
