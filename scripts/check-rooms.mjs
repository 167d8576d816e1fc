// Checks the order of docs/architecture.md: a room imports only rooms on lower floors, and no file
// is in a cycle of imports. Imports of types count.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'

/** Rooms of the plugin, the lowest floor first. */
export const floors = [
  ['schemas'],
  ['protocol', 'metrics', 'commands', 'carriers'],
  ['contract', 'delivery', 'compression'],
  ['streams'],
  ['sessions'],
  ['websocket', 'sse'],
  ['routes'],
  ['app'],
  ['entries'],
  ['index']
]

const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor])))
const filesBelow = (folder) => readdirSync(folder, { recursive: true }).filter((file) => /(?<!\.d)\.ts$/.test(file)).map((file) => join(folder, file))
const importsOf = (file) => ts.preProcessFile(readFileSync(file, 'utf8')).importedFiles.map(({ fileName }) => fileName)
  .filter((name) => name.startsWith('.')).map((name) => normalize(join(dirname(file), name)))
const roomOf = (file) => file.startsWith('schemas/') ? 'schemas' : file.split('/')[1].replace(/\.ts$/, '')

/** Imports from a room to one that is not below it, a sentence each. */
function faultsOfRooms (graph) {
  const faults = []
  for (const [file, imports] of graph) {
    const from = roomOf(file)
    const floor = floorOf.get(from)
    if (floor === undefined) faults.push(`${file} is in no room: scripts/check-rooms.mjs lists no "${from}"`)
    for (const imported of imports) {
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

const graphOf = (...folders) => new Map(folders.flatMap(filesBelow).map((file) => [file, importsOf(file)]))
const faults = [
  ...faultsOfRooms(graphOf('plugin', 'schemas')),
  ...['plugin', 'client', 'benchmarks'].flatMap((folder) => faultsOfCycles(graphOf(folder, 'schemas')))
]
for (const fault of faults) console.error(fault)
if (faults.length === 0) console.log(`${floors.length} floors: every import goes down, and none in a circle`)
process.exitCode = faults.length > 0 ? 1 : 0
