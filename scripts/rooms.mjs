// Checks the order of docs/architecture.md: a room imports only rooms on lower floors, and no file
// is in a cycle of imports. Imports of types count.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'

/** Rooms of the plugin, the lowest floor first. */
export const floors = [
  ['schemas'],
  ['protocol', 'metrics', 'commands', 'carriers'],
  ['contract', 'delivery', 'compression', 'cluster'],
  ['streams'],
  ['sessions'],
  ['websocket', 'sse', 'ownership', 'topics'],
  ['routes'],
  ['app', 'eyes'],
  ['entries'],
  ['index']
]

/** Rooms of `tune/`, the lowest floor first. They know the plugin only over HTTP. */
const tuneFloors = [
  ['statistics', 'process', 'quantity', 'fetch'],
  ['input'],
  ['generator'],
  ['measure'],
  ['decision', 'search'],
  ['report', 'run'],
  ['tune'],
  ['cli']
]

const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor])))
const tuneFloorOf = new Map(tuneFloors.flatMap((rooms, floor) => rooms.map((room) => [room, floor])))
const own = 'fastify-tether'

/** Files of the folders, each with what it imports of this package. */
function readGraph (root, folders) {
  const files = folders.filter((folder) => existsSync(join(root, folder))).flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).filter((file) => /(?<!\.d)\.ts$/.test(file)).map((file) => `${folder}/${file.replaceAll('\\', '/')}`))
  return new Map(files.map((file) => {
    const names = ts.preProcessFile(readFileSync(join(root, file), 'utf8')).importedFiles.map(({ fileName }) => fileName)
    return [file, names.filter((name) => /^\./.test(name) || name.split('/')[0] === own).map((name) => name.startsWith('.') ? normalize(join(dirname(file), name)) : name)]
  }))
}

const roomOf = (file) => file.startsWith('schemas/') ? 'schemas' : file.split('/')[1].replace(/\.ts$/, '')

/** Imports from a room to one that is not below it, a sentence each. */
function faultsOfRooms (graph) {
  const faults = []
  for (const [file, imports] of graph) {
    const from = roomOf(file)
    const floor = floorOf.get(from)
    if (floor === undefined) faults.push(`${file} is in no room: scripts/check-rooms.mjs lists no "${from}"`)
    for (const imported of imports) {
      if (imported.split('/')[0] === own) {
        faults.push(`${file} imports "${imported}", which is this package by its public name: import the file`)
        continue
      }
      const to = roomOf(imported)
      if (to !== from && !(floorOf.get(to) < floor)) faults.push(`${file} imports ${imported}: "${from}" is on floor ${floor}, "${to}" on floor ${floorOf.get(to) ?? '?'}; a room imports only rooms on lower floors`)
    }
  }
  return faults
}

/** Cycles of files, a sentence each. */
function faultsOfCycles (graph) {
  const faults = []
  const done = new Set()
  const visit = (file, path) => {
    if (path.includes(file)) faults.push(`${[...path.slice(path.indexOf(file)), file].join(' imports ')}: files must not import each other in a circle`)
    if (done.has(file) || path.includes(file)) return
    for (const imported of graph.get(file) ?? []) visit(imported, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
  return faults
}

/** The client shares types with the schemas, and no file with the plugin. */
function faultsOfClient (graph) {
  return [...graph].flatMap(([file, imports]) => imports.filter((imported) => file.startsWith('client/') && !/^(client|schemas)\//.test(imported))
    .map((imported) => `${file} imports ${imported}: the client imports only its own files and "schemas"`))
}

/** Values that the client imports from the schemas. A page may load `client/` alone; types are gone by then. */
function faultsOfValues (root) {
  const values = /^(?:import|export) (?!type\b)[^']*?from '\.\.\/(schemas\/[^']+)'/gm
  const files = readdirSync(join(root, 'client')).filter((file) => /(?<!\.d)\.ts$/.test(file))
  return files.flatMap((file) => [...readFileSync(join(root, 'client', file), 'utf8').matchAll(values)]
    .map(([, imported]) => `client/${file} imports values of ${imported}: the client imports only types from "schemas"`))
}

/** The sizing command has rooms of its own, and imports nothing else of the package. */
function faultsOfTune (graph) {
  const room = (file) => file.split('/')[1].replace(/\.ts$/, '')
  return [...graph].flatMap(([file, imports]) => imports.flatMap((imported) => {
    if (!imported.startsWith('tune/')) return [`${file} imports ${imported}: "tune" imports only its own files`]
    const [from, to] = [room(file), room(imported)]
    return from === to || tuneFloorOf.get(to) < tuneFloorOf.get(from) ? [] : [`${file} imports ${imported}: "${from}" is on floor ${tuneFloorOf.get(from) ?? '?'}, "${to}" on floor ${tuneFloorOf.get(to) ?? '?'}; a room imports only rooms on lower floors`]
  }))
}

/** All that breaks the order below a folder, a sentence each, with the file, the import and the rule. */
export function faultsIn (root) {
  return [
    ...faultsOfRooms(readGraph(root, ['plugin', 'schemas'])),
    ...faultsOfClient(readGraph(root, ['client'])),
    ...faultsOfValues(root),
    ...faultsOfTune(readGraph(root, ['tune'])),
    ...['plugin', 'client', 'tune', 'benchmarks'].flatMap((folder) => faultsOfCycles(readGraph(root, [folder, 'schemas'])))
  ]
}
