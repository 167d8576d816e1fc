interface Named {
  readonly name: string
}

/** The kinds of a comma-separated list, and the baseline, since everything is compared with it. */
export function chooseNamed<Kind extends Named> (kinds: readonly Kind[], list: string | undefined, baseline: string): readonly Kind[] {
  if (list === undefined) return kinds
  const names = list.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !kinds.some((kind) => kind.name === name))
  if (unknown !== undefined) {
    throw new Error(`--kinds: there is no '${unknown}', only ${kinds.map(({ name }) => `'${name}'`).join(', ')}`)
  }
  return kinds.filter(({ name }) => name === baseline || names.includes(name))
}

/** The kinds whose name contains a text, and the baseline. */
export function chooseContaining<Kind extends Named> (kinds: readonly Kind[], text: string | undefined, baseline: string): readonly Kind[] {
  return kinds.filter(({ name }) => name === baseline || name.includes(text ?? ''))
}
