import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

export default [
  ...neostandard({
    ts: true,
    noJsx: true,
    env: ['browser'],
    // Pages in the languages of their frameworks.
    ignores: [...resolveIgnoresFromGitignore(), 'test/browser/pages/']
  }),
  {
    rules: {
      // `return this.#made ??= make()` is meant.
      'no-return-assign': 'off',
      // Takes any function called `callback` for an error-first one.
      'n/no-callback-literal': 'off'
    }
  },
  {
    files: ['**/*.ts'],
    rules: {
      // A TypeBox schema and its type share a name; the compiler reports real clashes.
      '@typescript-eslint/no-redeclare': 'off',
      // `_Name` is how to skip a type in an `infer` position.
      '@typescript-eslint/no-unused-vars': ['error', { args: 'none', caughtErrors: 'none', ignoreRestSiblings: true, varsIgnorePattern: '^_' }]
    }
  }
]
