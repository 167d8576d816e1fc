import t from 'tap'
import { testKind } from './harness/checks.ts'
import * as servers from './harness/servers.ts'

// Each waits most of its time; what takes longer is in test/long/proxies.
t.jobs = 4

for (const [name, kind] of Object.entries(servers)) testKind(t, name, kind)
