import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
// @ts-expect-error plain JavaScript, shared with the build
import { shippedVitePlugin } from './scripts/shipped.mjs';

const MINUTE = 60_000;

/** What a project's tests find ready: a folder for their files, or also kasm-db as it is built, and PostgreSQL 13 to 18. */
const FOLDER = ['test/support/folder-setup.ts'];
const SERVERS = ['test/support/global-setup.ts'];

/** A project is a folder of test/. CONTRIBUTING.md says what each needs, and how long it takes. */
function project(name: string, options: TestProjectInlineConfiguration['test']): TestProjectInlineConfiguration {
  return { extends: true, test: { name, include: [`test/${name}/**/*.test.ts`], ...options } };
}

export default defineConfig({
  plugins: [shippedVitePlugin()],
  test: {
    // Long enough for a machine that others keep busy too: whatever hangs, hangs for ever.
    testTimeout: 3 * MINUTE,
    hookTimeout: 5 * MINUTE,
    // Two cores: more workers only make the timing of process tests worse.
    maxWorkers: 2,
    pool: 'forks',
    exclude: configDefaults.exclude,
    // CI counts from the file.
    reporters: process.env.CI
      ? ['default', ['json', { outputFile: process.env.KASM_DB_TEST_RESULTS ?? 'test-results.json' }]]
      : ['default'],
    projects: [
      // Pure: they leave nothing behind, so a file needs no process of its own.
      project('unit', { globalSetup: FOLDER, isolate: false }),
      project('postgres', { globalSetup: SERVERS }),
      project('cli', { globalSetup: SERVERS }),
      project('chart', { globalSetup: FOLDER }),
      project('hosts', { globalSetup: SERVERS }),
      project('faults', { globalSetup: SERVERS }),
      project('failover', { globalSetup: SERVERS }),
      // Not part of `npm test`: npm run test:containers.
      project('containers', { globalSetup: SERVERS }),
      // Nor this: real Helm on a real cluster, npm run test:cluster. Helm waits up to 5 minutes a step, and a scenario has several.
      project('cluster', {
        testTimeout: 45 * MINUTE,
        hookTimeout: 10 * MINUTE,
        maxConcurrency: 2,
        maxWorkers: 1,
        sequence: { groupOrder: 1 },
      }),
    ],
  },
});
