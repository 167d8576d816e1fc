import { join } from 'node:path'
import t from 'tap'
import { refused } from '../e2e/harness/refusal.ts'
import { readWhole } from '../e2e/harness/request.ts'
import { startBehind } from './harness/behind.ts'
import { testCompressing, testHoldingBack, testKind, testSeveral, testSilence, testWebSockets } from './harness/checks.ts'
import { replaced } from './harness/documented.ts'
import type { ProxyKind } from './harness/proxy.ts'

const nginx: ProxyKind = {
  program: '/usr/sbin/nginx',
  override: 'NGINX_PATH',
  language: 'nginx',
  protocols: ['https', 'h2'],
  launch: (configuration, { folder, port, upstreamPort, certificatePath, keyPath, isRoot, idleSeconds = 60 }) => ({
    file: ['nginx.conf', `
daemon off;
master_process off;
${isRoot ? 'user root;' : ''}
pid ${folder}/nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  ${replaced(configuration, {
    '127.0.0.1:3000': `127.0.0.1:${upstreamPort}`,
    'listen 443': `listen 127.0.0.1:${port}`,
    '/etc/ssl/example.com.crt': certificatePath,
    '/etc/ssl/example.com.key': keyPath,
    'proxy_read_timeout 60s;': `proxy_read_timeout ${idleSeconds}s;`
  })}
}
`],
    args: ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')]
  }),
  endsSilence: true
}

// Each waits most of its time.
t.jobs = 3

testKind(t, 'nginx', nginx)

t.test('nginx and silence', (t) => testSilence(t, nginx))

t.test('nginx and WebSockets', (t) => testWebSockets(t, nginx, {
  'without the header that asks for it': { 'proxy_set_header Upgrade           $http_upgrade;': '' },
  'without the other': { 'proxy_set_header Connection        $connection_upgrade;': '' }
}))

t.test('nginx that buffers in spite of what it is told', (t) => {
  return testHoldingBack(t, nginx, { proxy_read_timeout: 'proxy_ignore_headers X-Accel-Buffering; proxy_read_timeout' })
})

t.test('nginx before several processes', (t) => testSeveral(t, nginx, (configuration, several) => {
  return configuration.replace(/^upstream app \{.*?^\}\n/ms, () => several)
}))

t.test('nginx that changes the host and does not tell', async (t) => {
  const { through } = await startBehind(t, nginx, {
    change: { 'proxy_set_header Host              $http_host;': '', 'proxy_set_header X-Forwarded-Host  $http_host;': '' }
  })
  for (const protocol of nginx.protocols) {
    const front = through(protocol)
    refused(t, await readWhole(front, '/live', { origin: front.origin }), 403, 'FST_ERR_TETHER_ORIGIN', 'the site itself')
  }
})

t.test('nginx that compresses', async (t) => {
  const compressing = (types: string) => ({ 'server_name example.com;': `server_name example.com; gzip on; gzip_proxied any; gzip_types ${types};` })
  await testCompressing(t, nginx, compressing('text/javascript'))
  await testCompressing(t, nginx, compressing('text/javascript text/event-stream'), 'gzip')
})
