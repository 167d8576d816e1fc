import { http2Links } from './http2-link.ts'
import type { OpenLink } from './link.ts'
import { sseLinks } from './sse-link.ts'
import type { Target } from './target.ts'
import { webSocketLinks } from './websocket-link.ts'

/** Opens links over the target's transport. */
export function openerOf (target: Target): OpenLink {
  if (target.transport === 'websocket') return webSocketLinks(target)
  return target.transport === 'http2' ? http2Links(target) : sseLinks(target)
}
