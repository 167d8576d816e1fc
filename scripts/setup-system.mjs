// Sees to the programs that the tests need and npm does not provide.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs'

const programs = [
  { path: '/usr/bin/chromium', override: 'CHROMIUM_PATH', packages: ['chromium', 'fonts-dejavu-core'], services: [] },
  { path: '/usr/sbin/nginx', override: 'NGINX_PATH', packages: ['nginx'], services: ['nginx'] },
  { path: '/usr/sbin/haproxy', override: 'HAPROXY_PATH', packages: ['haproxy'], services: ['haproxy'] },
  { path: '/usr/bin/caddy', override: 'CADDY_PATH', packages: ['caddy'], services: ['caddy'] },
  { path: '/usr/sbin/varnishd', override: 'VARNISHD_PATH', packages: ['varnish'], services: ['varnish', 'varnishncsa'] }
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
  if (status !== 0) throw new Error(`apt-get ${args.join(' ')} failed\n${error?.message ?? `${stdout}${stderr}`}`)
}

// What packages ask before they start a service.
const policy = '/usr/sbin/policy-rc.d'

/** Runs `install` while no service may be started. */
function withoutServices (install) {
  if (existsSync(policy)) return install()
  // apt-get gets a Ctrl-C as well and ends; this process must live on to clear up.
  const liveOn = () => {}
  process.on('SIGINT', liveOn).on('SIGTERM', liveOn)
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    install()
  } finally {
    rmSync(policy, { force: true })
    process.off('SIGINT', liveOn).off('SIGTERM', liveOn)
  }
}

/** Keeps services from running, now and after a restart of the machine: the tests start what they need themselves. */
function disable (services) {
  const isBooted = existsSync('/run/systemd/system')
  const { error } = spawnSync('systemctl', ['--quiet', 'disable', ...isBooted ? ['--now'] : [], ...services], { stdio: 'ignore' })
  if (error !== undefined && error.code !== 'ENOENT') throw error
}

const missing = []
for (const program of programs) {
  const { path, override } = program
  const chosen = process.env[override]
  if (chosen && !isExecutable(chosen)) stop(`${override} names ${chosen}, which is not an executable file`)
  if (!chosen && !isExecutable(path)) missing.push(program)
}

if (missing.length > 0) {
  const packages = missing.flatMap((program) => program.packages)
  const hasAptGet = spawnSync('apt-get', ['--version']).status === 0
  if (!hasAptGet || process.getuid?.() !== 0) {
    for (const { path, override } of missing) console.error(`missing: ${path} (or name yours in ${override})`)
    stop(`on Debian or Ubuntu: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(' ')}`)
  }
  console.log(`installing ${packages.join(', ')}`)
  try {
    aptGet('update')
    withoutServices(() => aptGet('install', '-y', '--no-install-recommends', ...packages))
    const services = missing.flatMap((program) => program.services)
    if (services.length > 0) disable(services)
  } catch (error) {
    stop(error.message)
  }
  for (const { path } of missing) {
    if (!isExecutable(path)) stop(`${path} is still missing`)
  }
}

for (const { path, override } of programs) console.log(`found ${process.env[override] || path}`)
