import type { defaults } from './defaults.ts'

/** The fixed limits, as those who keep them are given them: `defaults.fixed`, or others in a test or a benchmark. */
export type Limits = { readonly [Name in keyof typeof defaults.fixed]: number }
