import { join } from 'node:path'
import { replaced } from './documented.ts'
import type { ProxyKind } from './proxy.ts'

export const apache: ProxyKind = {
  program: '/usr/sbin/apache2',
  override: 'APACHE_PATH',
  language: 'apache',
  protocols: ['https', 'h2'],
  launch: (configuration, { folder, port, upstreamPort, certificatePath, keyPath, isRoot, idleSeconds = 60 }) => ({
    file: ['apache.conf', `
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
ErrorLog ${folder}/error.log
Listen 127.0.0.1:${port}
ServerName 127.0.0.1
${isRoot ? 'User www-data\nGroup www-data' : ''}
${['mpm_event', 'authz_core', 'headers', 'http2', 'proxy', 'proxy_http', 'socache_shmcb', 'ssl'].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
${replaced(configuration, {
  '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`,
  '*:443': `127.0.0.1:${port}`,
  '/etc/ssl/example.com.crt': certificatePath,
  '/etc/ssl/example.com.key': keyPath,
  'ProxyTimeout 60': `ProxyTimeout ${idleSeconds}`
})}`],
    args: ['-d', folder, '-f', join(folder, 'apache.conf'), '-D', 'FOREGROUND']
  }),
  endsSilence: 'of streams',
  heartbeatsUntilLeft: { https: 2, h2: 1 },
  endsSlowly: true,
  statusOfUnreadBody: 502
}

export const lighttpd: ProxyKind = {
  program: '/usr/sbin/lighttpd',
  override: 'LIGHTTPD_PATH',
  language: 'lighttpd',
  protocols: ['https', 'h2'],
  launch: (configuration, { folder, port, upstreamPort, certificatePath, keyPath }) => ({
    file: ['lighttpd.conf', `
server.document-root = "${folder}"
server.bind = "127.0.0.1"
server.port = ${port}
server.upload-dirs = ( "${folder}" )
${replaced(configuration, {
  '"port" => 3000': `"port" => ${upstreamPort}`,
  '":443"': `"127.0.0.1:${port}"`,
  '/etc/ssl/example.com.crt': certificatePath,
  '/etc/ssl/example.com.key': keyPath
})}`],
    args: ['-D', '-f', join(folder, 'lighttpd.conf')]
  }),
  endsSilence: false,
  heartbeatsUntilLeft: { https: 1 }
}

export const squid: ProxyKind = {
  program: '/usr/sbin/squid',
  override: 'SQUID_PATH',
  language: 'squid',
  protocols: ['http/1.1'],
  launch: (configuration, { folder, port, upstreamPort, idleSeconds = 900 }) => ({
    file: ['squid.conf', `
visible_hostname proxy
pid_filename ${folder}/squid.pid
coredump_dir ${folder}
cache_log /dev/null
access_log none
cache_store_log none
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
read_timeout ${idleSeconds} seconds
${replaced(configuration, {
  'parent 3000': `parent ${upstreamPort}`,
  'http_port 80': `http_port 127.0.0.1:${port}`
})}`],
    args: ['-N', '-f', join(folder, 'squid.conf')]
  }),
  endsSilence: true
}

export const h2o: ProxyKind = {
  mayBeAbsent: true,
  program: '/usr/bin/h2o',
  override: 'H2O_PATH',
  language: 'yaml h2o',
  protocols: ['https', 'h2'],
  launch: (configuration, { folder, port, upstreamPort, certificatePath, keyPath, isRoot, idleSeconds = 60 }) => ({
    file: ['h2o.yaml', `
${isRoot ? 'user: root' : ''}
num-threads: 1
${replaced(configuration, {
  '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`,
  'port: 443': `host: 127.0.0.1\n      port: ${port}`,
  '"example.com"': `"127.0.0.1:${port}"`,
  '/etc/ssl/example.com.crt': certificatePath,
  '/etc/ssl/example.com.key': keyPath,
  'proxy.timeout.io: 60000': `proxy.timeout.io: ${idleSeconds * 1_000}`
})}`],
    args: ['-c', join(folder, 'h2o.yaml')]
  }),
  endsSilence: 'of streams',
  heartbeatsUntilLeft: { https: 2 }
}

export const nghttpx: ProxyKind = {
  mayBeAbsent: true,
  program: '/usr/sbin/nghttpx',
  override: 'NGHTTPX_PATH',
  language: 'nghttpx',
  protocols: ['https', 'h2'],
  launch: (configuration, { folder, port, upstreamPort, certificatePath, keyPath, idleSeconds = 60 }) => ({
    file: ['nghttpx.conf', `
errorlog-file=${folder}/error.log
accesslog-file=/dev/null
${replaced(configuration, {
  'backend=127.0.0.1,3000': `backend=127.0.0.1,${upstreamPort}`,
  '*,443': `127.0.0.1,${port}`,
  '/etc/ssl/example.com.crt': certificatePath,
  '/etc/ssl/example.com.key': keyPath,
  'backend-read-timeout=60s': `backend-read-timeout=${idleSeconds}s`
})}`],
    args: ['--conf', join(folder, 'nghttpx.conf')]
  }),
  endsSilence: true,
  isTrusted: false
}

export const hitch: ProxyKind = {
  mayBeAbsent: true,
  program: '/usr/sbin/hitch',
  override: 'HITCH_PATH',
  language: 'hitch',
  protocols: ['https'],
  launch: (configuration, { folder, port, upstreamPort, bundlePath, isRoot }) => ({
    file: ['hitch.conf', (isRoot ? 'user = "nobody"\n' : '') + replaced(configuration, {
      '[127.0.0.1]:3000': `[127.0.0.1]:${upstreamPort}`,
      '[*]:443': `[127.0.0.1]:${port}`,
      '/etc/hitch/example.com.pem': bundlePath
    })],
    args: [`--config=${join(folder, 'hitch.conf')}`]
  }),
  endsSilence: false,
  isTrusted: false
}

export const mitmproxy: ProxyKind = {
  mayBeAbsent: true,
  program: '/usr/bin/mitmdump',
  override: 'MITMDUMP_PATH',
  language: 'sh mitmproxy',
  protocols: ['http/1.1'],
  launch: (configuration, { folder, port, upstreamPort }) => ({
    file: ['command', configuration],
    args: replaced(configuration, { '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`, '--listen-port 8080': `--listen-host 127.0.0.1 --listen-port ${port} --set confdir=${folder} -q` })
      .trim().split(' ').slice(1)
  }),
  endsSilence: false,
  isTrusted: false,
  statusOfUnreadBody: 502
}
