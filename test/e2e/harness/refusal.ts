import type { Test } from 'tap'
import type { Answer } from './request.ts'

/** Asserts that a request was refused with a status and a code. */
export function refused (t: Test, answer: Answer, status: number, code: string, what: string): void {
  t.equal(answer.status, status, `${what}: status`)
  t.match(answer.headers['content-type'], /^application\/json/, `${what}: content type`)
  t.equal(answer.headers['cache-control'], 'no-store', `${what}: no cache may keep it`)
  t.match(answer.json, { statusCode: status, code }, `${what}: code`)
}
