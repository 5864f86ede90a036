import { defineConfig } from 'vitest/config';
// @ts-expect-error plain JavaScript, shared with the build
import { shippedVitePlugin } from './scripts/shipped.mjs';

const containers = process.env.KASM_DB_CONTAINERS !== undefined;
const results = containers ? 'test-results-containers.json' : 'test-results.json';

export default defineConfig({
  plugins: [shippedVitePlugin()],
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/cluster/**', '**/node_modules/**', ...(containers ? [] : ['test/containers/**'])],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores: more workers only make the timing of process tests worse.
    maxWorkers: 2,
    pool: 'forks',
    // CI counts from the file.
    reporters: process.env.CI ? ['default', ['json', { outputFile: results }]] : ['default'],
  },
});
