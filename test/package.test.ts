import { execFile, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { takeBuildTurn } from './browser/harness/build-turn.ts'
import { documented } from './proxies/harness/documented.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const example = readmeExample()

const scratch = mkdtempSync(join(tmpdir(), 'tether-package-'))
t.teardown(() => rmSync(scratch, { recursive: true, force: true }))

// Packed aside, with the build as it is now: other tests start examples, which build it as well.
const stage = join(scratch, 'stage')
mkdirSync(stage)
const giveTurn = await takeBuildTurn()
try {
  await run('npm', ['run', 'compile'], { cwd: root })
  for (const name of ['package.json', ...manifest.files]) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(stage, name), { recursive: true })
  }
} finally {
  giveTurn()
}
const [packed] = JSON.parse((await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], { cwd: stage })).stdout)
const tarball = join(scratch, packed.filename)

const paths: string[] = packed.files.map(({ path }: { path: string }) => path)

t.test('the tarball holds the built library, its sources, its documents and nothing else', async (t) => {
  for (const path of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'dist/plugin/index.js', 'dist/plugin/index.d.ts', 'dist/plugin/entries/contract-tests.js', 'dist/plugin/entries/contract-tests.d.ts', 'dist/plugin/entries/inspector.js', 'dist/plugin/entries/inspector.d.ts', 'dist/inspector/page.html', 'dist/inspector/page.css', 'dist/inspector/page.js', 'dist/plugin/entries/local.js', 'dist/plugin/entries/local.d.ts', 'dist/plugin/entries/memory.js', 'dist/plugin/entries/memory.d.ts', 'dist/plugin/entries/metrics.js', 'dist/plugin/entries/metrics.d.ts', 'dist/plugin/entries/nats.js', 'dist/plugin/entries/nats.d.ts', 'dist/plugin/entries/redis.js', 'dist/plugin/entries/redis.d.ts', 'dist/plugin/entries/testing.js', 'dist/tune/cli.js', 'dist/tune/generator/worker.js', 'testing/index.js', 'testing/index.d.ts', 'dist/client/injected.js', 'dist/client/index.js', 'dist/client/index.d.ts', 'dist/client/indexed-db.js', 'dist/client/shared.js', 'dist/client/websocket-link.js']) {
    t.ok(paths.includes(path), path)
  }
  t.strictSame(paths.filter((path) => !/^(package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|docs\/[a-z-]+\.(md|json|yml)|dist\/(plugin|schemas|client|tune)\/([a-z0-9-]+\/)*[a-z0-9-]+\.(js|js\.map|d\.ts|d\.ts\.map)|dist\/inspector\/page\.(html|css|js)|(plugin|schemas|client|tune)\/([a-z0-9-]+\/)*[a-z0-9-]+\.ts|testing\/index\.(js|d\.ts))$/.test(path)), [])
})

t.test('every map leads to a source that is there', async (t) => {
  const maps = paths.filter((path) => path.endsWith('.map'))
  for (const kind of ['.js', '.d.ts']) {
    t.strictSame(maps.filter((path) => path.endsWith(`${kind}.map`)).length, paths.filter((path) => /^dist\/(?!inspector\/)/.test(path) && path.endsWith(kind)).length, `each ${kind} has one`)
  }
  const lost = maps.flatMap((map) => {
    const { sources, sourceRoot } = JSON.parse(readFileSync(join(stage, map), 'utf8'))
    return sources.map((source: string) => join(dirname(map), sourceRoot ?? '', source)).filter((source: string) => !paths.includes(source))
  })
  t.strictSame(lost, [])
  const plain = maps.filter((map) => /^dist\/client\/.*\.js\.map$/.test(map) && JSON.parse(readFileSync(join(stage, map), 'utf8')).sourcesContent?.length !== 1)
  t.strictSame(plain, [], 'what is served to browsers brings its source along')
})

// npm's site resolves the README's relative links against `repository`, so pictures need not be packed.
t.test('the pictures of the documents are in the repository, and not in the tarball', async (t) => {
  const { repository, homepage, bugs } = manifest
  const [, url = ''] = /^git\+(https:\/\/github\.com\/[\w-]+\/fastify-tether)\.git$/.exec(repository.url) ?? []
  t.not(url, '', repository.url)
  t.strictSame([homepage, bugs.url], [`${url}#readme`, `${url}/issues`])
  const pictures = paths.filter((path) => path.endsWith('.md')).flatMap((document) => {
    const text = readFileSync(join(root, document), 'utf8')
    return [...text.matchAll(/!\[[^\]]*\]\(([^)]+)\)|<img [^>]*?src="([^"]+)"/g)].map((match) => join(dirname(document), match[1] ?? match[2]!))
  })
  t.ok(pictures.length >= 3, `${pictures.length} pictures`)
  for (const picture of pictures) t.ok(existsSync(join(root, picture)), picture)
  t.strictSame(paths.filter((path) => /\.(png|svg|jpe?g|gif|webp)$/.test(path)), [])
})

t.test('in an empty TypeScript project', async (t) => {
  const project = await install('typescript-project', 'typescript', '@types/node')
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { target: 'es2022', lib: ['es2022'], types: ['node'], module: 'nodenext', strict: true, skipLibCheck: false, declaration: true, outDir: 'out', rootDir: '.' }
  }))
  writeFileSync(join(project, 'server.ts'), example)
  writeFileSync(join(project, 'live.ts'), `
    import Fastify from 'fastify'
    import { Type } from '@sinclair/typebox'
    import tether, { conflate, defineContract, text, type Session } from 'fastify-tether'
    import { Oracle, transportContract, type TransportUnderTest } from 'fastify-tether/contract-tests'
    export const contract = defineContract({
      events: { pause: Type.Object({}) },
      updates: { row: text(), load: conflate(Type.Object({ v: Type.Number() })) }
    })
    const app = Fastify()
    await app.register(tether)
    export const live = app.tether.stateful('/live', {
      contract,
      initialState: async (request) => ({ name: request.ip }),
      on: { pause: (session) => session.send('row', session.state.name) }
    })
    export const group = live.group('all')
    export const reached = live.broadcast('load', { v: 1 })
    export const upgrade = app.tether.sse.upgrade()
    export const transport: TransportUnderTest = {
      name: 'typed',
      protocol: 'http/1.1',
      start: async (scope, needs) => {
        const app = Fastify({ ...needs.fastify })
        scope.after(() => app.close())
        await app.register(tether, needs.tether)
        needs.mount(app, { upgrade: app.tether.sse.upgrade(needs.upgrade) })
        return { app, origin: await app.listen() }
      },
      begin: (server, wanted) => { throw new Error(server.origin + wanted.url) }
    }
    export const faults: readonly string[] = new Oracle().faults
    export const cases = transportContract(transport)
    export function greet (session: Session<{ name: string }, typeof contract.updates>) {
      return session.send('load', { v: 1 })
    }
  `)

  t.test('the example of the README and exported sessions compile, strictly, with every declaration checked', async () => {
    await compile(project)
  })

  t.test('so they do as a bundler resolves modules', async () => {
    await compile(project, '-p', '.', '--module', 'esnext', '--moduleResolution', 'bundler', '--noEmit')
  })

  t.test('what is exported has a type that others can name', async (t) => {
    const declared = readFileSync(join(project, 'out/live.d.ts'), 'utf8')
    t.match(declared, /const live: import\("fastify-tether"\)\.Handler<\{\s*name: string;\s*\}, \{/)
    t.match(declared, /const upgrade: import\("fastify-tether"\)\.Upgrade;/)
    t.notMatch(declared, /\bany\b/)
  })

  t.test('an editor that is asked for a definition opens the source', async (t) => {
    const page = `
      import { connect } from 'fastify-tether/client'
      import { connectStored } from 'fastify-tether/client/indexed-db'
      import { connectShared } from 'fastify-tether/client/shared'
      import { webSocketLink } from 'fastify-tether/client/websocket'
      import type { contract } from './live.js'
      export const live = connect<typeof contract>('/live', { link: webSocketLink() })
      export const all = [live.emit('pause'), connectStored, connectShared]
    `
    writeFileSync(join(project, 'page.ts'), page)
    const live = readFileSync(join(project, 'live.ts'), 'utf8')
    const found = await definitions(project, [
      ['live.ts', live, 'tether)'],
      ['live.ts', live, 'defineContract('],
      ['live.ts', live, 'conflate('],
      ['live.ts', live, 'stateful('],
      ['live.ts', live, 'broadcast('],
      ['live.ts', live, 'group('],
      ['live.ts', live, 'upgrade('],
      ['live.ts', live, "send('row'"],
      ['page.ts', page, 'connect<'],
      ['page.ts', page, 'emit('],
      ['page.ts', page, 'connectStored,'],
      ['page.ts', page, 'connectShared]'],
      ['page.ts', page, 'webSocketLink()']
    ])
    for (const { word, file, line } of found) {
      t.match(file, /^(plugin|schemas|client)\/[a-z0-9/-]+(?<!\.d)\.ts$/, `${word}: ${file}`)
      t.match(line, new RegExp(`\\b${word}\\b`), `${word}: ${line}`)
    }
  })

  t.test('the example runs', (t) => runsExample(t, project, 'out/server.js'))
})

t.test('in a plain JavaScript project', async (t) => {
  const project = await install('javascript-project')
  writeFileSync(join(project, 'server.js'), example)

  t.test('the example of the README runs', (t) => runsExample(t, project, 'server.js'))

  t.test('only the entry can be imported', async (t) => {
    await t.rejects(run(process.execPath, ['-e', 'import("fastify-tether/dist/plugin/session.js")'], { cwd: project }), /ERR_PACKAGE_PATH_NOT_EXPORTED/)
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', 'console.log(Object.keys(await import("fastify-tether")).join())'], { cwd: project })
    t.equal(stdout.trim(), 'EventError,conflate,default,defaults,defineContract,errorTable,request,tether,text,topic')
  })

  t.test('the inspector has its page, without a package of its own', async (t) => {
    writeFileSync(join(project, 'inspector.js'), `
      import Fastify from 'fastify'
      import tether from 'fastify-tether'
      import inspector from 'fastify-tether/inspector'
      const app = Fastify()
      await app.register(tether)
      await app.register(inspector, { prefix: '/inspector', authorize: () => true })
      for (const file of ['', 'page.js', 'page.css']) console.log((await app.inject('/inspector/' + file)).statusCode)
    `)
    const { stdout } = await run(process.execPath, ['inspector.js'], { cwd: project })
    t.equal(stdout.trim(), '200\n200\n200')
  })

  t.test('the contract tests run without a package of their own', async (t) => {
    writeFileSync(join(project, 'contract.test.js'), documented('js contract.test.js', 'testing'))
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env
    const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap', '--test-name-pattern', 'frame by frame|are answered', 'contract.test.js'], { cwd: project, env })
    t.match(stdout, /^ok \d+ - node:http: the same text comes, frame by frame$/m)
    t.match(stdout, /^ok \d+ - node:http: events run in order, once, and are answered$/m)
    t.match(stdout, /# fail 0\n/)
  })

  t.test('the examples of docs/testing.md run with node:test, Vitest and Jest', async (t) => {
    const project = await install('project-with-runners', 'vitest', 'jest', '@jest/globals')
    for (const name of ['app.js', 'handler.test.js', 'time.test.js', 'move.test.js', 'injected.test.js', 'handler.vitest.js', 'handler.jest.js']) writeFileSync(join(project, name), documented(`js ${name}`, 'testing'))
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...inherited } = process.env
    const node = (...args: string[]) => run(process.execPath, args, { cwd: project, env: { ...inherited, CI: 'true', NO_COLOR: '1' } })
    const runners: Array<[string, () => Promise<{ stdout: string, stderr: string }>, RegExp, RegExp]> = [
      ['node:test', () => node('--test', '--test-reporter=tap', 'handler.test.js', 'time.test.js', 'move.test.js', 'injected.test.js'), /^# pass 5$/m, /^# fail 1$/m],
      ['Vitest', () => node(join(modules, 'vitest/vitest.mjs'), 'run', '--root', project, '--dir', project, 'handler.vitest.js', '--config', 'vitest.config.js'), /2 passed/, /1 failed/],
      ['Jest', () => node('--experimental-vm-modules', join(modules, 'jest/bin/jest.js'), '--testMatch', '**/handler.jest.js', '--transform', '{}'), /2 passed/, /1 failed/]
    ]
    writeFileSync(join(project, 'vitest.config.js'), "export default { test: { include: ['*.vitest.js'] } }")
    for (const [name, start, passed] of runners) {
      const { stdout, stderr } = await start()
      t.match(stdout + stderr, passed, name)
    }
    const app = documented('js app.js', 'testing')
    writeFileSync(join(project, 'app.js'), app.replace('text.toUpperCase()', 'text'))
    for (const [name, start, , failed] of runners.slice(1)) {
      const { stdout, stderr } = await start().then(() => ({ stdout: 'no failure', stderr: '' }), (error) => error)
      t.match(stdout + stderr, failed, `${name} finds a handler that is wrong`)
    }
  })

  t.test('the contract tests cost nobody anything: the plugin runs without them, and they are small', async (t) => {
    const contractTests = packed.files.filter(({ path }: { path: string }) => /(^|\/)plugin\/entries\/contract-tests[./]/.test(path))
    const share = contractTests.reduce((sum: number, { size }: { size: number }) => sum + size, 0)
    t.ok(contractTests.some(({ path }: { path: string }) => path === 'dist/plugin/entries/contract-tests.js'))
    t.ok(share < packed.unpackedSize / 8, `${share} of ${packed.unpackedSize} bytes`)
    // The plugin needs no other entry either.
    rmSync(join(project, 'node_modules/fastify-tether/dist/plugin/entries'), { recursive: true })
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', 'await import("fastify-tether"); console.log("loaded")'], { cwd: project })
    t.equal(stdout.trim(), 'loaded')
  })
})

t.test('the command fastify-tether', async (t) => {
  const project = await install('project-with-command', 'hdr-histogram-js', 'uplot')
  const command = join(project, 'node_modules/fastify-tether', manifest.bin['fastify-tether'])
  const told = async (...words: string[]) => await run(process.execPath, [command, ...words], { cwd: project }).then(
    ({ stdout }) => ({ code: 0, text: stdout }), ({ code, stderr }: { code: number, stderr: string }) => ({ code, text: stderr }))
  t.match(await told('tune', '--help'), { code: 0, text: /^fastify-tether tune --url URL --events FILE \[options\]/ })
  writeFileSync(join(project, 'events.ndjson'), '{"event":"a"}')
  const words = ['tune', '--url', 'http://127.0.0.1:1/live', '--events', 'events.ndjson', '--json', 'tune.json']
  t.match(await told(...words), { code: 2 }, 'a server that is not there')
  t.equal(JSON.parse(readFileSync(join(project, 'tune.json'), 'utf8')).capacity, null)

  t.test('names its packages where they were left out', async (t) => {
    rmSync(join(project, 'node_modules/hdr-histogram-js'))
    t.match(await told(...words), { code: 2, text: /npm install --save-dev hdr-histogram-js uplot/ })
  })
})

t.test('without @fastify/websocket, which is optional', async (t) => {
  const project = await install('project-without-websocket')
  writeFileSync(join(project, 'server.js'), `
    import Fastify from 'fastify'
    import tether, { defineContract } from 'fastify-tether'
    const app = Fastify()
    await app.register(tether)
    const upgrade = app.tether.websocket.upgrade()
    app.tether.stateful('/live', { contract: defineContract({}), mode: process.argv[2], ...process.argv[2] === 'sse' ? {} : { upgrade } })
    await app.ready().then(() => console.log('ready'), (error) => console.log(error.code, error.message))
  `)
  const told = async (mode: string) => (await run(process.execPath, ['server.js', mode], { cwd: project })).stdout.trim()
  t.equal(await told('sse'), 'ready', 'nobody misses it')
  for (const mode of ['websocket', 'both']) {
    t.equal(await told(mode), `FST_ERR_TETHER_MODE mode "${mode}" needs a package that is not installed: npm install @fastify/websocket`)
  }
})

/** The first TypeScript block of the README, word for word. */
function readmeExample (): string {
  const match = /^```ts\n(.*?)^```$/ms.exec(readFileSync(join(root, 'README.md'), 'utf8'))
  if (match === null) throw new Error('the README has no example')
  return match[1]!
}

/**
 * A project with the tarball, what it declares as dependencies, and what the README
 * has a user install along with it. Their own dependencies are found where npm put
 * them for this repository; nothing else can be imported.
 */
async function install (name: string, ...development: string[]): Promise<string> {
  const project = join(scratch, name)
  const own = join(project, 'node_modules/fastify-tether')
  mkdirSync(own, { recursive: true })
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }))
  await run('tar', ['-xzf', tarball, '-C', own, '--strip-components=1'])
  const { dependencies, peerDependencies, peerDependenciesMeta } = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'))
  const peers = Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true)
  for (const dependency of [...Object.keys(dependencies), ...peers, ...development]) {
    const link = join(project, 'node_modules', dependency)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(modules, dependency), link)
  }
  return project
}

async function compile (cwd: string, ...args: string[]): Promise<void> {
  try {
    await run(process.execPath, [join(modules, 'typescript/bin/tsc'), ...args], { cwd })
  } catch (error) {
    // The compiler's messages go to its standard output.
    throw new Error((error as { stdout: string }).stdout || String(error))
  }
}

/**
 * Asks TypeScript's server, as editors do, where the first word of each of these places is defined.
 *
 * @returns the word, the file within the installed package, and the line of that file which the editor shows
 */
async function definitions (project: string, places: Array<[file: string, text: string, place: string]>): Promise<Array<{ word: string, file: string, line: string }>> {
  const server = spawn(process.execPath, [join(modules, 'typescript/lib/tsserver.js'), '--disableAutomaticTypingAcquisition'], { cwd: project, stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = new Promise((resolve) => server.on('close', resolve))
  const answers = new Map<number, any>()
  const done = (async () => {
    // Between the answers are headers, and the events that nobody asked for.
    for await (const line of createInterface({ input: server.stdout })) {
      if (!line.startsWith('{')) continue
      const message = JSON.parse(line)
      if (message.type === 'response' && message.command === 'definition') answers.set(message.request_seq, message)
      if (answers.size === places.length) break
    }
  })()
  let seq = 0
  const ask = (command: string, args: object) => server.stdin.write(`${JSON.stringify({ seq: seq++, type: 'request', command, arguments: args })}\n`)
  const opened = [...new Set(places.map(([file]) => file))]
  try {
    for (const file of opened) ask('open', { file: join(project, file) })
    for (const [file, text, place] of places) {
      const before = text.slice(0, text.indexOf(place, text.lastIndexOf('import '))).split('\n')
      ask('definition', { file: join(project, file), line: before.length, offset: before.at(-1)!.length + 1 })
    }
    await done
  } finally {
    server.kill()
    await closed
  }
  const own = join(project, 'node_modules/fastify-tether')
  return places.map(([, , place], index) => {
    const { body: [definition] } = answers.get(opened.length + index)
    const file = relative(own, definition.file)
    return { word: /^\w+/.exec(place)![0], file, line: readFileSync(definition.file, 'utf8').split('\n')[definition.start.line - 1]!.trim() }
  })
}

/** Starts the example, reads its stream and posts to it, as the README has it done with curl. */
async function runsExample (t: Test, project: string, file: string): Promise<void> {
  const server = spawn(process.execPath, [file], { cwd: project, env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = new Promise((resolve) => server.on('close', resolve))
  t.teardown(async () => {
    server.kill()
    await closed
  })
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]()
  const { value: address } = await lines.next()
  t.match(address, /^http:\/\//, 'prints its address')

  const stream = await fetch(`${address}/live`)
  t.match(stream.headers.get('content-type'), /^text\/event-stream/)
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
  let seen = ''
  async function readTo (pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(seen)
      if (match !== null) return match
      const { value, done } = await reader.read()
      if (done) throw new Error(`the stream ended before ${pattern}:\n${seen}`)
      seen += value
    }
  }
  const [, id = ''] = await readTo(/^event: tether\ndata: \{"type":"hello","session":"([\w-]{24})","verdict":"new"/m)
  const accepted = await fetch(`${address}/live/say`, {
    method: 'POST',
    headers: { 'X-Tether-Session': id, 'Content-Type': 'application/json' },
    body: '{"text":"hello"}'
  })
  t.equal(accepted.status, 202)
  t.strictSame(await accepted.json(), { seq: 0 })
  await readTo(/^event: said\ndata: \{"text":"hello","count":1\}\n\n/m)
  await readTo(/^event: clock\ndata: \{"t":\d+\}\n\n/m)
  await reader.cancel()
}
