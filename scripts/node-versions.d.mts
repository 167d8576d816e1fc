export declare const nodeVersions: readonly string[]
export declare function nodeBinary (wanted: string, print?: (line: string) => void): string
