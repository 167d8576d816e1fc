import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { listeningPort } from '../harness/listening-port.ts'

const program = '/usr/sbin/nginx'
const nchanModule = '/usr/lib/nginx/modules/ngx_nchan_module.so'
const startTimeoutMs = 10_000
const pollMs = 20

/** What to do where nchan is not installed; undefined where it is. */
export function nchanMissing (): string | undefined {
  if (existsSync(program) && existsSync(nchanModule)) return undefined
  return 'nchan is not installed. On Debian or Ubuntu:\n' +
    '  sudo apt-get update && sudo apt-get install -y --no-install-recommends nginx-light libnginx-mod-nchan'
}

/** An nginx of our own, in a folder of its own, with nchan and one worker. */
export class Nginx {
  readonly port: number
  readonly #folder: string
  readonly #process: ChildProcess
  #errors = ''

  private constructor (port: number, streams: number) {
    this.port = port
    this.#folder = mkdtempSync(join(tmpdir(), 'fan-out-nchan-'))
    const configuration = join(this.#folder, 'nginx.conf')
    writeFileSync(configuration, configure(this.#folder, port, streams))
    // It must not outlive this process, which is ended with a signal that it cannot act on when the benchmark is interrupted.
    const command = ['--pdeathsig', 'KILL', program, '-c', configuration, '-p', this.#folder]
    this.#process = spawn('setpriv', command, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => { this.#errors = (this.#errors + text).slice(-2_000) })
    this.#process.on('error', (error) => { this.#errors += error.message })
  }

  static async start (streams: number): Promise<Nginx> {
    const nginx = new Nginx(await freePort(), streams)
    const end = Date.now() + startTimeoutMs
    while (!await nginx.#answers()) {
      if (nginx.#process.exitCode !== null || Date.now() > end) {
        nginx.stop()
        throw new Error(`nginx did not start: ${nginx.#errors}`)
      }
      await delay(pollMs)
    }
    return nginx
  }

  /** Of its only process. The scheduler's own account is in nanoseconds, where `stat` counts in hundredths of a second. */
  processorMicroseconds (): number {
    const nanoseconds = readFileSync(`/proc/${this.#process.pid}/schedstat`, 'utf8').split(' ')[0]
    return Number(nanoseconds) / 1000
  }

  stop (): void {
    this.#process.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #answers (): Promise<boolean> {
    const socket = net.connect(this.port, '127.0.0.1')
    try {
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
      return true
    } catch {
      return false
    } finally {
      socket.destroy()
    }
  }
}

async function freePort (): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = listeningPort(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** One process that serves and owns everything, so that one number tells its processor time. */
function configure (folder: string, port: number, streams: number): string {
  // With less than a sixteenth of them free, nginx closes connections that are idle: the publisher's.
  const connections = Math.ceil(streams * 1.2) + 128
  return `
load_module ${nchanModule};
daemon off;
master_process off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile ${connections + 64};
events {
  worker_connections ${connections};
}
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_body_buffer_size 64k;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_header_timeout 1h;
  nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /live {
      nchan_subscriber eventsource;
      nchan_subscriber_first_message newest;
      nchan_channel_id live;
    }
    location = /publish {
      nchan_publisher http;
      nchan_channel_id live;
      nchan_store_messages off;
    }
    location = /status {
      nchan_stub_status;
    }
  }
}
`
}
