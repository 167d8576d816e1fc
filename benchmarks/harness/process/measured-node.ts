import { execFileSync } from 'node:child_process'
import process from 'node:process'
import { nodeBinary } from '../../../scripts/node-versions.mjs'

/** The Node.js on which servers, readers and generators run: the one that runs the benchmark, or that of `--node`. */
export const measuredNode = { path: process.execPath, version: process.version }

/** @param wanted a major version, or a whole one; it is fetched from the npm registry where it is not there yet */
export function chooseNode (wanted: string): void {
  measuredNode.path = nodeBinary(wanted, (line) => process.stderr.write(`${line}\n`))
  measuredNode.version = execFileSync(measuredNode.path, ['--version'], { encoding: 'utf8' }).trim()
}
