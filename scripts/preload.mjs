// Loads the large packages of a test file before tap adds its module hooks and those of tsx.
// After that each module goes to another thread and back, which takes longer than most
// tests do.
import process from 'node:process'

// Processes that the test starts must not preload.
delete process.env.NODE_OPTIONS

const [, file = ''] = process.argv
const packages = ['tap']
// These tests start servers, or run many test files in one process.
if (/[\\/](test[\\/](browser|client|e2e|proxies|unit[\\/]all)|\.tap[\\/]together)\b/.test(file)) {
  packages.push('@sinclair/typebox', 'ajv', 'ajv/dist/2019.js', 'ajv-formats', 'fast-json-stringify', 'fastify', 'fastify-plugin', '@fastify/error', '@fastify/formbody', 'negotiator', 'eventsource-parser', 'ws')
}
for (const name of packages) await import(name)
