import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { replaced } from './documented.ts'
import type { Place, ProxyKind } from './proxy.ts'

const modules = fileURLToPath(new URL('../../../node_modules/', import.meta.url))

/** A program as it stands in the guide, at another port. */
function program (language: string, { listen = '.listen(8080)', ...facts }: Partial<ProxyKind> & { listen?: string } = {}): ProxyKind {
  return {
    program: process.execPath,
    override: 'NODE_PATH_OF_PROXIES',
    language,
    protocols: ['http/1.1'],
    launch: (configuration, { folder, port, upstreamPort }) => ({
      file: ['proxy.mjs', replaced(configuration, {
        '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`,
        [listen]: listen.replace('8080', `${port}`)
      })],
      args: [join(folder, 'proxy.mjs')]
    }),
    endsSilence: false,
    ...facts
  }
}

/** A configuration of a development server that passes on all that the tests ask for, in place of one URL. */
function site (configuration: string, { upstreamPort }: Place): string {
  return replaced(configuration, { '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`, "'/live'": "'/'" })
}

export const vite: ProxyKind = {
  ...program('js vite', { isTrusted: false }),
  launch: (configuration, place) => ({
    file: ['vite.config.mjs', site(configuration, place)],
    args: [join(modules, 'vite/bin/vite.js'), '--host', '127.0.0.1', '--port', String(place.port), '--strictPort', '--logLevel', 'warn']
  })
}

export const webpackDevServer: ProxyKind = {
  ...program('js webpack-dev-server', { isTrusted: false }),
  launch: (configuration, place) => ({
    file: ['webpack.config.mjs', `${site(configuration, place).replace('export default', 'const configuration =')}
import webpack from 'webpack'
import WebpackDevServer from 'webpack-dev-server'

const compiler = webpack({ mode: 'none', entry: 'data:text/javascript,', infrastructureLogging: { level: 'error' }, stats: 'none' })
await new WebpackDevServer({ ...configuration.devServer, host: '127.0.0.1', port: ${place.port} }, compiler).start()
`],
    args: [join(place.folder, 'webpack.config.mjs')]
  })
}

export const httpProxy = program('js http-proxy', { isTrusted: false })
export const httpProxy3 = program('js http-proxy-3', { isTrusted: false })
export const httpProxyMiddleware = program('js http-proxy-middleware', { isTrusted: false })
export const fastifyHttpProxy = program('js fastify-http-proxy', { listen: '.listen({ port: 8080 })' })
export const fastifyReplyFrom = program('js fastify-reply-from', { listen: '.listen({ port: 8080 })', passesWebSockets: false })
