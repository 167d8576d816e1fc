// Names each import that breaks the order of docs/architecture.md.
import { fileURLToPath } from 'node:url'
import { faultsIn, floors } from './rooms.mjs'

const faults = faultsIn(fileURLToPath(new URL('..', import.meta.url)))
for (const fault of faults) console.error(fault)
if (faults.length === 0) console.log(`${floors.length} floors: every import goes down, and none in a circle`)
process.exitCode = faults.length > 0 ? 1 : 0
