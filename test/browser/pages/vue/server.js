import { createSSRApp } from 'vue'
import { renderToString } from 'vue/server-renderer'
import Page from './Page.vue'

export const render = async () => {
  // A server waits for async components.
  const timer = setInterval(() => globalThis.showLate?.(), 5)
  return renderToString(createSSRApp(Page)).finally(() => clearInterval(timer))
}
