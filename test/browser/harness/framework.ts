import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Test } from 'tap'
import { build, createServer, type InlineConfig, type PluginOption } from 'vite'

const root = fileURLToPath(new URL('../../..', import.meta.url))

export interface Framework {
  readonly name: 'react' | 'vue' | 'svelte'
  /** Of its packages, such as those of `react-19`. Default: the installed ones. */
  readonly version?: string
  readonly plugins: () => PluginOption
  /** Blocks of code in the framework's guide, which are files of the page. */
  readonly documented: readonly string[]
}

/** A page of a framework: the application of its guide, with what a test needs beside it. */
export interface Pages {
  readonly folder: string
  readonly config: InlineConfig
}

/** The application of a guide as files. */
function writeGuide ({ name, documented }: Framework, folder: string): void {
  const guide = readFileSync(join(root, `docs/${name}.md`), 'utf8')
  for (const [, file, code] of guide.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)) {
    if (documented.includes(file!)) writeFileSync(join(folder, file!), code!)
  }
}

/** Copies the page aside, where a test may edit it. */
export function copyPages (t: Test, framework: Framework): Pages {
  const scratch = mkdtempSync(join(tmpdir(), `tether-${framework.name}-`))
  t.teardown(() => rmSync(scratch, { recursive: true, force: true, maxRetries: 5 }))
  const folder = join(scratch, 'page')
  cpSync(join(root, 'test/browser/pages', framework.name), folder, { recursive: true })
  cpSync(join(root, 'test/browser/pages/watch.js'), join(scratch, 'watch.js'))
  const main = framework.name === 'react' ? 'main.jsx' : 'main.js'
  writeFileSync(join(folder, 'index.html'), readFileSync(join(root, 'test/browser/pages/index.html'), 'utf8').replace('/main', `/${main}`))
  mkdirSync(join(scratch, 'cache'))
  symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'))
  writeFileSync(join(scratch, 'package.json'), '{ "type": "module" }')
  writeGuide(framework, folder)
  const source = (file: string) => join(root, 'client', file)
  return {
    folder,
    config: {
      root: folder,
      configFile: false,
      envDir: false,
      mode: 'development',
      logLevel: 'warn',
      clearScreen: false,
      cacheDir: join(scratch, 'cache'),
      plugins: [framework.plugins()],
      resolve: {
        alias: [
          { find: /^fastify-tether\/client$/, replacement: source('index.ts') },
          { find: /^fastify-tether\/client\/store$/, replacement: source('store.ts') },
          { find: /^fastify-tether\/(react|vue|svelte)$/, replacement: source('$1.ts') },
          ...framework.version === undefined ? [] : [{ find: /^(react|react-dom)(?=$|\/)/, replacement: join(root, `node_modules/$1-${framework.version}`) }]
        ]
      },
      // Else the server takes the packages that Node.js finds.
      ssr: { noExternal: framework.version === undefined ? [] : [/^react/] }
    }
  }
}

/** Builds the page, and what renders it on a server. */
export async function buildPages ({ folder, config }: Pages, server: string): Promise<{ html: string, dist: string }> {
  const dist = join(folder, 'dist')
  await build({ ...config, build: { outDir: dist, minify: false, modulePreload: false } })
  await build({ ...config, build: { outDir: join(folder, 'ssr'), ssr: server, minify: false } })
  const { render } = await import(pathToFileURL(join(folder, 'ssr/server.js')).href) as { render: () => Promise<string> }
  return { dist, html: readFileSync(join(dist, 'index.html'), 'utf8').replace('<!--app-->', await render()) }
}

/** Serves the page as Vite does while one develops, with the requests of its connection sent on to an application. */
export async function servePages (t: Test, { config }: Pages, target: string): Promise<string> {
  const server = await createServer({ ...config, server: { host: '127.0.0.1', port: 0, proxy: { '^/live($|[/?])': { target } }, fs: { strict: false } } })
  t.teardown(() => server.close())
  await server.listen()
  return server.resolvedUrls!.local[0]!
}
