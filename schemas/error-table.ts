import * as errors from './errors.ts'

type Classes = typeof errors
type ErrorOf<Class> = Class extends { prototype: infer Made extends { code: string, statusCode: number } } ? Made : never

/**
 * The status of every error of the library, by code. An error that answers no request has
 * 500, or 499 if its client has left.
 */
export const errorTable = Object.freeze(Object.fromEntries(Object.values(errors).map(({ code, statusCode }) => [code, statusCode]))) as {
  readonly [Name in keyof Classes as ErrorOf<Classes[Name]>['code']]: ErrorOf<Classes[Name]>['statusCode']
}
