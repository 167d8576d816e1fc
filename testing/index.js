export { testSession } from '../dist/plugin/entries/testing.js'
export { connectInjected } from '../dist/client/injected.js'
