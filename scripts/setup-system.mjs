// Installs the programs that the tests need and npm does not provide, or prints the command.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs'

const programs = [
  { path: '/usr/bin/chromium', override: 'CHROMIUM_PATH', packages: ['chromium', 'fonts-dejavu-core'], services: [] },
  { path: '/usr/sbin/nginx', override: 'NGINX_PATH', packages: ['nginx'], services: ['nginx'] },
  { path: '/usr/sbin/haproxy', override: 'HAPROXY_PATH', packages: ['haproxy'], services: ['haproxy'] },
  { path: '/usr/bin/caddy', override: 'CADDY_PATH', packages: ['caddy'], services: ['caddy'] },
  { path: '/usr/sbin/varnishd', override: 'VARNISHD_PATH', packages: ['varnish'], services: ['varnish', 'varnishncsa'] },
  { path: '/usr/sbin/apache2', override: 'APACHE_PATH', packages: ['apache2'], services: ['apache2', 'apache-htcacheclean'] },
  { path: '/usr/sbin/lighttpd', override: 'LIGHTTPD_PATH', packages: ['lighttpd', 'lighttpd-mod-openssl'], services: ['lighttpd'], needs: ['/usr/lib/lighttpd/mod_openssl.so'] },
  { path: '/usr/sbin/squid', override: 'SQUID_PATH', packages: ['squid'], services: ['squid'] },
  { path: '/usr/bin/redis-server', override: 'REDIS_SERVER_PATH', packages: ['redis-server'], services: ['redis-server'] },
  { path: '/usr/sbin/nghttpx', override: 'NGHTTPX_PATH', packages: ['nghttp2-proxy'], services: ['nghttpx'], mayBeAbsent: true },
  { path: '/usr/sbin/hitch', override: 'HITCH_PATH', packages: ['hitch'], services: ['hitch'], mayBeAbsent: true },
  { path: '/usr/bin/h2o', override: 'H2O_PATH', packages: ['h2o'], services: ['h2o'], mayBeAbsent: true },
  { path: '/usr/sbin/nats-server', override: 'NATS_SERVER_PATH', packages: ['nats-server'], services: ['nats-server'] },
  { path: '/usr/bin/prometheus', override: 'PROMETHEUS_PATH', packages: ['prometheus'], services: ['prometheus', 'prometheus-node-exporter'], mayBeAbsent: true },
  { path: '/usr/bin/mitmdump', override: 'MITMDUMP_PATH', packages: ['mitmproxy'], services: [], mayBeAbsent: true }
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

/** Whether apt knows a version of all these packages. */
function areOffered (packages) {
  return packages.every((name) => {
    const { stdout } = spawnSync('apt-cache', ['policy', name], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
    return /^ {2}Candidate: (?!\(none\))/m.test(stdout ?? '')
  })
}

// Packages run this script before they start a service.
const policy = '/usr/sbin/policy-rc.d'

/** Runs `install` while no service may be started. */
function withoutServices (install) {
  if (existsSync(policy)) return install()
  // A Ctrl-C also ends apt-get; this process must survive it to clean up.
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

/** Keeps services from running, now and after a restart of the machine: the tests start their own. */
function disable (services) {
  const isBooted = existsSync('/run/systemd/system')
  const { error } = spawnSync('systemctl', ['--quiet', 'disable', ...isBooted ? ['--now'] : [], ...services], { stdio: 'ignore' })
  if (error !== undefined && error.code !== 'ENOENT') throw error
}

let missing = []
for (const program of programs) {
  const { path, override, needs = [] } = program
  const chosen = process.env[override]
  if (chosen && !isExecutable(chosen)) stop(`${override} names ${chosen}, which is not an executable file`)
  if (!chosen && !(isExecutable(path) && needs.every((file) => existsSync(file)))) missing.push(program)
}

const absent = new Set()
if (missing.length > 0) {
  const hasAptGet = spawnSync('apt-get', ['--version']).status === 0
  const mayInstall = hasAptGet && process.getuid?.() === 0
  try {
    if (mayInstall) aptGet('update')
  } catch (error) {
    stop(error.message)
  }
  // Some releases of Debian and Ubuntu have no package of these.
  for (const program of missing) {
    if (program.mayBeAbsent && hasAptGet && !areOffered(program.packages)) absent.add(program)
  }
  missing = missing.filter((program) => !absent.has(program))
  const packages = missing.flatMap((program) => program.packages)
  if (missing.length > 0 && !mayInstall) {
    for (const { path, override } of missing) console.error(`missing: ${path} (or name yours in ${override})`)
    stop(`on Debian or Ubuntu: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(' ')}`)
  }
  if (missing.length > 0) {
    console.log(`installing ${packages.join(', ')}`)
    try {
      withoutServices(() => aptGet('install', '-y', '--no-install-recommends', ...packages))
      const services = missing.flatMap((program) => program.services)
      if (services.length > 0) disable(services)
    } catch (error) {
      stop(error.message)
    }
  }
  for (const { path, needs = [] } of missing) {
    for (const file of [path, ...needs]) {
      if (!existsSync(file)) stop(`${file} is still missing`)
    }
  }
}

for (const program of programs) {
  const { path, override, packages } = program
  if (absent.has(program)) console.log(`NOT FOUND ${path}: this system offers no package ${packages.join(', ')}; its tests are skipped (name yours in ${override})`)
  else console.log(`found ${process.env[override] || path}`)
}
