import { answer } from '../../tune/process/child-endpoint.ts'
import { drivePosts } from './posts.ts'

// A child process that posts.
const calls = { drive: drivePosts }

export type PosterCalls = typeof calls

answer(calls)
