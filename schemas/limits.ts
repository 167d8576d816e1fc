import type { defaults } from './defaults.ts'

/** The type of the fixed limits: `defaults.fixed`, or other values in a test or a benchmark. */
export type Limits = { readonly [Name in keyof typeof defaults.fixed]: number }
