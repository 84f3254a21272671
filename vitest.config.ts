import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const alias = [
  {
    find: '@quorate/core/register-conformance',
    replacement: source('packages/core/src/register/registers.conformance.ts'),
  },
  { find: '@quorate/core/conformance', replacement: source('packages/core/src/ports/conformance.ts') },
  { find: '@quorate/core', replacement: source('packages/core/src/index.ts') },
  {
    find: '@quorate/client/node-transport',
    replacement: source('packages/client/src/node-transport/index.ts'),
  },
  { find: '@quorate/client/pure', replacement: source('packages/client/src/pure.ts') },
  { find: '@quorate/client', replacement: source('packages/client/src/index.ts') },
  { find: '@quorate/sim', replacement: source('packages/sim/src/index.ts') },
  { find: '@quorate/server', replacement: source('packages/server/src/index.ts') },
]

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'tools/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
        },
      },
      {
        // Real processes: one file at a time, on what was built.
        test: {
          name: 'e2e',
          include: ['e2e/**/*.test.ts', 'docs/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
