/** Every values file that users find as an example renders to manifests of Kubernetes' own schema: nothing misspelt, nothing misplaced. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { chartFolder, hasHelm, helm, valuesFiles } from './helm.js';

/** KASM_TEST_KUBECONFORM gives its arguments too, such as a -schema-location of one's own where there is no internet. */
const [program = 'kubeconform', ...args] = (process.env.KASM_TEST_KUBECONFORM ?? 'kubeconform').split(' ');
const there = hasHelm && spawnSync(program, ['-v']).status === 0;
if (!there) console.warn('SKIPPED: kubeconform is not on the PATH; manifests are not held against Kubernetes schemas');

describe.skipIf(!there).each(['kasm-db', 'kasm-single-zone'])('%s › kubeconform', (chart) => {
  it.each(valuesFiles(chart).map((file) => [file.split('/').at(-1), file]))('%s', (_, file) => {
    const { stdout, stderr, status } = helm(
      ['template', 'kasm', chartFolder(chart), '-n', 'kasm', '-f', file as string],
      undefined,
    );
    expect(status, stderr).toBe(0);
    const run = spawnSync(program, [...args, '-strict', '-summary'], { input: stdout, encoding: 'utf8' });
    expect(run.stdout, run.stderr).toMatch(/Invalid: 0, Errors: 0/);
  });
});
