/** Makes a promise that may reject unheard, without an uncaught error. */
export function quietPromise<Value> (executor: (resolve: (value: Value) => void, reject: (error: unknown) => void) => void): Promise<Value> {
  const promise = new Promise<Value>(executor)
  promise.catch(() => {})
  return promise
}
