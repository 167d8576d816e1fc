import type { Cluster } from 'fastify-tether'

const answerWithinMs = 1000

/**
 * Lets each node ask the others a question that one of them can answer.
 *
 * @param name what the questions are about: a name of their own among the events of the cluster
 * @param answerTo what this node answers; undefined if another one has to
 * @returns asks; gives undefined if no node answers in time
 */
export function askNodes<Answer> (cluster: Cluster, name: string, answerTo: (question: string) => Answer | undefined): (question: string) => Promise<Answer | undefined> {
  const waiting = new Map<number, (answer?: Answer) => void>()
  let asked = 0
  cluster.on(`${name}.ask`, ({ id, question }, { node }) => {
    const answer = answerTo(question)
    if (answer !== undefined) cluster.emit(`${name}.answer`, { to: node, id, answer })
  })
  cluster.on(`${name}.answer`, ({ to, id, answer }) => {
    if (to === cluster.node) waiting.get(id)?.(answer)
  })
  return (question) => new Promise((resolve) => {
    const id = ++asked
    const end = (answer?: Answer) => {
      clearTimeout(timer)
      waiting.delete(id)
      resolve(answer)
    }
    const timer = setTimeout(end, answerWithinMs)
    waiting.set(id, end)
    cluster.emit(`${name}.ask`, { id, question })
  })
}
