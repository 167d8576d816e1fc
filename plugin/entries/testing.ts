export { testSession } from './testing/test-session.ts'
export type { Dispatch, ReportedError, SentUpdate, TestRequest, TestSession, TestSessionOptions } from './testing/test-session.ts'
