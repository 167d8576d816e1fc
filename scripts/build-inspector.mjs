// Bundles the inspector's page: its script with the client and uPlot, and its styles. So the package needs no chart
// library at run time, and the page is three files.
import { build } from 'esbuild'
import { copyFileSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const license = readFileSync(fileURLToPath(new URL('../node_modules/uplot/LICENSE', import.meta.url)), 'utf8').trim()
const notice = `/* With uPlot, https://github.com/leeoniya/uPlot:\n\n${license}\n*/`

await build({
  absWorkingDir: root,
  entryPoints: ['client/inspector/page.ts', 'client/inspector/page.css'],
  outdir: 'dist/inspector',
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  legalComments: 'none',
  banner: { js: notice, css: notice },
  logLevel: 'warning'
})
copyFileSync(`${root}/client/inspector/page.html`, `${root}/dist/inspector/page.html`)
