export { testSession } from './testing/test-session.ts'
export type { Dispatch, MoveOptions, ReportedError, SentUpdate, TestRequest, TestSession, TestSessionOptions, TopicCall } from './testing/test-session.ts'
