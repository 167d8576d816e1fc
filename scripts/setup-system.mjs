// Sees to the programs that the tests need and npm does not provide.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'

const programs = [
  { path: '/usr/bin/chromium', override: 'CHROMIUM_PATH', packages: ['chromium', 'fonts-dejavu-core'] }
]

function isExecutable (path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function stop (message) {
  console.error(message)
  process.exit(1)
}

function aptGet (...args) {
  const { status, error, stdout, stderr } = spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  if (status !== 0) stop(`apt-get ${args.join(' ')} failed\n${error?.message ?? `${stdout}${stderr}`}`)
}

const missing = []
for (const { path, override, packages } of programs) {
  const chosen = override && process.env[override]
  if (chosen && !isExecutable(chosen)) stop(`${override} names ${chosen}, which is not an executable file`)
  if (!chosen && !isExecutable(path)) missing.push({ path, override, packages })
}

if (missing.length > 0) {
  const packages = missing.flatMap((program) => program.packages)
  const hasAptGet = spawnSync('apt-get', ['--version']).status === 0
  if (!hasAptGet || process.getuid?.() !== 0) {
    for (const { path, override } of missing) {
      console.error(`missing: ${path}${override ? ` (or name yours in ${override})` : ''}`)
    }
    stop(`on Debian or Ubuntu: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(' ')}`)
  }
  console.log(`installing ${packages.join(', ')}`)
  aptGet('update')
  aptGet('install', '-y', '--no-install-recommends', ...packages)
  for (const { path } of missing) {
    if (!isExecutable(path)) stop(`${path} is still missing`)
  }
}

for (const { path, override } of programs) console.log(`found ${(override && process.env[override]) || path}`)
