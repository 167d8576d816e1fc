/** A promise whose rejection is no uncaught error where nobody listens. */
export function quietPromise<Value> (executor: (resolve: (value: Value) => void, reject: (error: unknown) => void) => void): Promise<Value> {
  const promise = new Promise<Value>(executor)
  promise.catch(() => {})
  return promise
}
