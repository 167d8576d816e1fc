export const floors: ReadonlyArray<readonly string[]>
export function faultsIn (root: string): string[]
