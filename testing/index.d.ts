export { testSession } from '../dist/plugin/entries/testing.js'
export type { Dispatch, MoveOptions, ReportedError, SentUpdate, TestRequest, TestSession, TestSessionOptions, TopicCall } from '../dist/plugin/entries/testing.js'
export { connectInjected } from '../dist/client/injected.js'
export type { Injectable, InjectedConnection, InjectedOptions, InjectedResponse } from '../dist/client/injected.js'
