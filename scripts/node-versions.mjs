// The versions of Node.js that the tests run on, and the way to get them: the npm registry's
// package `node-linux-<arch>` holds the binary of the version that it is named after.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

/** The newest of each line that was tried, oldest line first. */
export const nodeVersions = ['20.20.2', '22.23.5', '24.22.3', '26.12.1']

const folder = fileURLToPath(new URL('../.nodes', import.meta.url))

function majorOf (version) {
  return version.replace(/^v/, '').split('.')[0]
}

function run (command, args, cwd) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed\n${error?.message ?? `${stdout}${stderr}`}`)
}

/**
 * The path of a Node.js binary: the running one where its major version is the same, or else one that
 * is fetched once into `.nodes`.
 *
 * @param {string} wanted a major version that is listed, or a whole version
 * @param {(line: string) => void} [print] gets a line when a version is fetched
 * @returns {string}
 */
export function nodeBinary (wanted, print = console.log) {
  if (wanted === process.version.slice(1) || wanted === majorOf(process.version)) return process.execPath
  const version = wanted.includes('.') ? wanted : nodeVersions.find((listed) => majorOf(listed) === wanted)
  if (version === undefined) throw new Error(`no version of Node.js ${wanted} is known; there are ${nodeVersions.join(', ')}`)
  const home = join(folder, version)
  const binary = join(home, 'package', 'bin', 'node')
  if (existsSync(binary)) return binary
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    throw new Error(`the npm registry has no Node.js ${version} for ${process.platform} ${process.arch}: run the tests with a Node.js ${majorOf(version)} of your own`)
  }
  const name = `node-linux-${process.arch}@${version}`
  print(`fetching Node.js ${version} (${name}) into .nodes, once`)
  mkdirSync(folder, { recursive: true })
  // Fetched to another folder and then moved, so that an interrupted run leaves nothing that looks complete.
  const part = mkdtempSync(join(folder, 'part-'))
  try {
    run('npm', ['pack', '--silent', name], part)
    run('tar', ['xzf', readdirSync(part).find((file) => file.endsWith('.tgz')), 'package/bin/node'], part)
    for (const file of readdirSync(part)) if (file.endsWith('.tgz')) rmSync(join(part, file))
    rmSync(home, { recursive: true, force: true })
    renameSync(part, home)
  } finally {
    rmSync(part, { recursive: true, force: true })
  }
  return binary
}
