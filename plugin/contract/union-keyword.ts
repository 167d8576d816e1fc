import { _, Name, type CodeKeywordDefinition } from 'ajv/dist/2019.js'
import { defaults } from '../../schemas/defaults.ts'

// Variables of the code that Ajv generates: the errors so far, and how many of them count.
const allErrors = new Name('vErrors')
const errorCount = new Name('errors')

/** How many branches may still be examined. */
const branches = { left: 0 }

/** Allows the branches of one explanation; called before each run of a validator. */
export function refillBranches (): void {
  branches.left = defaults.fixed.explainedBranches
}

/**
 * Defines `anyOf` or `oneOf` for an Ajv that finds all errors. Ajv's own keyword reports the errors
 * of all branches in one list. This one reports the union alone: `params.branches` has a list of
 * errors for each branch, and `params.matched` is the number of branches that fit.
 *
 * Beyond a number of branches it accepts the data, because branches multiply with the items of a
 * list and with the depth of recursive data. So it explains, and does not decide.
 */
export function unionKeyword (keyword: 'anyOf' | 'oneOf'): CodeKeywordDefinition {
  return {
    keyword,
    schemaType: 'array',
    trackErrors: true,
    error: { message: 'matches none of the allowed forms', params: ({ params }) => _`{branches: ${params.lists}, matched: ${params.matched}}` },
    code (context) {
      const { gen, schema } = context
      const left = _`${gen.scopeValue('obj', { ref: branches })}.left`
      const valid = gen.let('valid', _`${left} <= 0`)
      const matched = gen.let('matched', 0)
      const branchValid = gen.name('branchValid')
      const marks = [gen.const('mark', errorCount)]
      for (const _branch of schema) marks.push(gen.let('mark', 0))
      gen.if(_`!${valid}`, () => {
        gen.code(_`${left} -= ${schema.length}`)
        for (const index of schema.keys()) {
          const branch = context.subschema({ keyword, schemaProp: index, compositeRule: true }, branchValid)
          gen.if(branchValid, () => gen.code(_`${matched}++`))
          gen.assign(marks[index + 1]!, errorCount)
          context.mergeValidEvaluated(branch, branchValid)
        }
        gen.assign(valid, keyword === 'anyOf' ? _`${matched} > 0` : _`${matched} === 1`)
      })
      context.result(valid, () => context.reset(), () => {
        const lists = gen.const('lists', _`[]`)
        for (const index of schema.keys()) gen.code(_`${lists}.push(${allErrors} === null ? [] : ${allErrors}.slice(${marks[index]!}, ${marks[index + 1]!}))`)
        context.reset()
        context.setParams({ lists, matched })
        context.error()
      })
    }
  }
}
