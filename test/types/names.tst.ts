import { expect, test } from 'tstyche'
import type {
  Answer, AnyContract, Claim, ClientErrorCode, ConnectOptions, Connection, ConnectionState, DataOf, ErrorFields, EventName, Fault,
  HeadersOption, Link, LinkFactory, LinkOptions, NamedUpdate, RequestOptions, ResumePoint, Setup, SetupContext, StateDetail, Unsubscribe, UpdateName, Verdict as ClientVerdict
} from '../../client/index.ts'
import type { WebSocketLike, WebSocketLinkOptions } from '../../client/websocket-link.ts'
import type * as server from '../../plugin/index.ts'
import type { contract } from './client.tst.ts'

type C = typeof contract

test('what a page needs to name has a name', () => {
  expect<UpdateName<C>>().type.toBe<'sample' | 'notice' | 'row'>()
  expect<EventName<C>>().type.toBe<'range.set' | 'pause' | 'move'>()
  expect<DataOf<C, 'notice'>>().type.toBe<{ text: string }>()
  expect<Connection<C>>().type.toBeAssignableTo<{ state: ConnectionState, session: string | undefined }>()
  expect<NamedUpdate<C>>().type.toBeAssignableTo<{ name: UpdateName<C>, data: unknown }>()
  expect<NonNullable<StateDetail['verdict']>>().type.toBe<ClientVerdict>()
  expect<ReturnType<Connection<C>['on']>>().type.toBe<Unsubscribe>()
  expect<ConnectOptions>().type.toBeAssignableTo<RequestOptions>()
  expect<NonNullable<ConnectOptions['headers']>>().type.toBe<HeadersOption>()
  expect<NonNullable<ConnectOptions['resume']>>().type.toBe<ResumePoint>()
  expect<NonNullable<ConnectOptions['setup']>>().type.toBe<Setup>()
  expect<Parameters<Setup>[1]>().type.toBe<SetupContext>()
  expect<NonNullable<ConnectOptions['link']>>().type.toBe<LinkFactory>()
  expect<LinkFactory>().type.toBe<(url: string, options: LinkOptions) => Link>()
  expect<Answer>().type.toBeAssignableTo<ErrorFields>()
  expect<C>().type.toBeAssignableTo<AnyContract>()
  expect<[Claim, ClientErrorCode, Fault, WebSocketLike, WebSocketLinkOptions]>().type.not.toBe<any>()
})

test('so has what a generic function of the server takes', () => {
  function notify<Updates extends server.UpdateDefinitions> (session: server.Session<unknown, Updates>): server.Session<unknown, Updates> { return session }
  expect(notify).type.toBeCallableWith({} as server.Session<unknown, C['updates']>)
  expect<C>().type.toBeAssignableTo<server.AnyContract>()
  expect<C['events']>().type.toBeAssignableTo<server.EventSchemas>()
})
