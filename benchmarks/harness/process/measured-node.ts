import { execFileSync } from 'node:child_process'
import process from 'node:process'
import { nodeBinary } from '../../../scripts/node-versions.mjs'

/** The Node.js of servers, readers and generators: the one of `--node`, or else the one that runs the benchmark. */
export const measuredNode = { path: process.execPath, version: process.version }

/** @param wanted a major or a whole version; it is fetched from the npm registry if it is missing */
export function chooseNode (wanted: string): void {
  measuredNode.path = nodeBinary(wanted, (line) => process.stderr.write(`${line}\n`))
  measuredNode.version = execFileSync(measuredNode.path, ['--version'], { encoding: 'utf8' }).trim()
}
