import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
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
    ],
  },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'e2e/**/*.test.ts', 'tools/**/*.test.ts', 'docs/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
})
