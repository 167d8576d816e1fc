// What React Native, also with Expo, does not have, or not on all its versions. What the streams of `fetch` in Node.js and the tests themselves need, stays.
const scope = globalThis as Record<string, any>
for (const name of [
  'TextDecoderStream', 'TextEncoderStream', 'CompressionStream', 'DecompressionStream',
  'BroadcastChannel', 'navigator', 'document', 'EventSource', 'WebSocket', 'structuredClone', 'addEventListener', 'crypto', 'indexedDB', 'localStorage', 'sessionStorage'
]) Reflect.deleteProperty(scope, name)
for (const name of ['timeout', 'any']) Reflect.deleteProperty(scope.AbortSignal, name)
Reflect.deleteProperty(scope.ReadableStream, 'from')
Reflect.deleteProperty(scope.Promise, 'withResolvers')
