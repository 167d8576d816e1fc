// @tstyche template

// All type tests but those for a browser as one text. TSTyche starts a checker for each file, and that takes longer
// than the file's own tests. For the place of a failure, run its file alone: `npx tstyche register`.
import { readdirSync, readFileSync } from 'node:fs'
import ts from 'typescript'

const folder = new URL('.', import.meta.url)
const own = import.meta.url.slice(folder.href.length)
/** The names that each import takes, as they stand there: `tether`, `* as z`, `{ type Handler }`. */
const imports = new Map<string, Set<string>>()
const bodies: string[] = []

for (const file of readdirSync(folder).filter((name) => name.endsWith('.tst.ts') && name !== own).sort()) {
  const source = ts.createSourceFile(file, readFileSync(new URL(file, folder), 'utf8'), ts.ScriptTarget.Latest, true)
  const [declared, rest] = [source.statements.filter(ts.isImportDeclaration), source.statements.filter((statement) => !ts.isImportDeclaration(statement))]
  for (const { importClause, moduleSpecifier } of declared) {
    const from = moduleSpecifier.getText()
    const names = imports.get(from) ?? new Set()
    imports.set(from, names)
    if (importClause === undefined) continue
    const { isTypeOnly, name, namedBindings } = importClause
    const kind = isTypeOnly ? 'type ' : ''
    if (name !== undefined) names.add(`${kind}${name.text}`)
    if (namedBindings === undefined) continue
    if (ts.isNamespaceImport(namedBindings)) names.add(`${kind}${namedBindings.getText()}`)
    else for (const element of namedBindings.elements) names.add(`{ ${element.isTypeOnly ? '' : kind}${element.getText()} }`)
  }
  bodies.push(`{ // ${file}\n${rest.map((statement) => statement.getFullText().replace(/^export /m, '')).join('')}\n}`)
}

const statements = [...imports].flatMap(([from, names]) => names.size === 0 ? [`import ${from}`] : [...names].map((name) => `import ${name} from ${from}`))

export default [...statements, ...bodies].join('\n')
