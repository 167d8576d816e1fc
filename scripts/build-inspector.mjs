// Bundles the inspector's page: its script with the client and uPlot, and its styles. So the package needs no chart
// library at run time, and the page is three files.
import { build } from 'esbuild'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = `${root}dist/inspector`
const license = readFileSync(`${root}node_modules/uplot/LICENSE`, 'utf8').trim()
const notice = `/* With uPlot, https://github.com/leeoniya/uPlot:\n\n${license}\n*/`

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['client/inspector/page.ts', 'client/inspector/page.css'],
  outdir: folder,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  legalComments: 'none',
  banner: { js: notice, css: notice },
  logLevel: 'warning',
  write: false
})

mkdirSync(folder, { recursive: true })
for (const [name, contents] of [
  ...outputFiles.map(({ path, contents }) => [basename(path), contents]),
  ['page.html', readFileSync(`${root}client/inspector/page.html`)]
]) {
  // Whoever reads the file meanwhile gets the old one or the new one, and no part of either.
  writeFileSync(`${folder}/${name}.${process.pid}`, contents)
  renameSync(`${folder}/${name}.${process.pid}`, `${folder}/${name}`)
}
