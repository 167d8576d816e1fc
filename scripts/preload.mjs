// Loads the large packages of a test file while modules are still loaded the short way.
// tap runs each file with hooks of its own and those of tsx: from there on, each module
// goes to another thread and back, which takes longer than most tests do.
import process from 'node:process'

// Not for what the test starts.
delete process.env.NODE_OPTIONS

const [, file = ''] = process.argv
const packages = ['tap']
// These start servers, or are many in one.
if (/[\\/]test[\\/](browser|client|e2e|proxies|unit[\\/]all)\b/.test(file)) {
  packages.push('@sinclair/typebox', 'ajv', 'ajv/dist/2019.js', 'ajv-formats', 'fast-json-stringify', 'fastify', 'fastify-plugin', '@fastify/error', '@fastify/formbody', 'negotiator', 'eventsource-parser', 'ws')
}
for (const name of packages) await import(name)
