export interface Exposed {
  readonly name: string
  readonly labels: Record<string, string>
  readonly value: number
}

/** The samples of a text in Prometheus' format. */
export function samplesOf (text: string): Exposed[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => {
    const [, name = '', labels = '', value = ''] = /^([\w:]+)(?:\{(.*)\})? (\S+)$/i.exec(line) ?? []
    if (name === '') throw new Error(`no sample: ${line}`)
    return { name, labels: Object.fromEntries([...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, given]) => [key!, given!])), value: Number(value) }
  })
}

/** The sum of the samples with a name and these labels. */
export function sumOf (samples: readonly Exposed[], name: string, labels: Record<string, string> = {}): number {
  return matching(samples, name, labels).reduce((sum, { value }) => sum + value, 0)
}

export function matching (samples: readonly Exposed[], name: string, labels: Record<string, string> = {}): Exposed[] {
  return samples.filter((sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
}
