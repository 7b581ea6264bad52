import tseslint from 'typescript-eslint';

const outsideItsPort = (what, port) =>
  `${what} is outside its port: take it from ${port} (src/core/), so that the same code runs in virtual time.`;

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'eslint.config.js'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: false }],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      'prefer-const': 'error',
    },
  },
  {
    // Time and chance come through ports; only the adapters of those ports may call the real thing.
    files: ['src/**/*.ts', 'actors/**/*.ts'],
    ignores: ['src/core/clock.ts', 'src/cli/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: outsideItsPort('Date.now', 'Clock') },
        { object: 'performance', property: 'now', message: outsideItsPort('performance.now', 'Clock') },
        { object: 'Math', property: 'random', message: outsideItsPort('Math.random', 'Random') },
      ],
      'no-restricted-globals': [
        'error',
        { name: 'setTimeout', message: outsideItsPort('setTimeout', 'Clock') },
        { name: 'setInterval', message: outsideItsPort('setInterval', 'Clock') },
      ],
    },
  },
  {
    // The page is plain JavaScript for browsers, outside the TypeScript project.
    files: ['src/serve/page/*.js'],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: { parserOptions: { projectService: false, project: false } },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-console': 'off', '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
