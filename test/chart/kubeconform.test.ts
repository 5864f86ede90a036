/** Every values file that users find as an example renders to manifests of Kubernetes' own schema: nothing misspelt, nothing misplaced. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { chartFolder, hasHelm, helm, valuesFiles } from './helm.js';

/** KASM_TEST_KUBECONFORM gives its arguments too, such as a -schema-location of one's own where there is no internet. */
const [program = 'kubeconform', ...args] = (process.env.KASM_TEST_KUBECONFORM ?? 'kubeconform').split(' ');
const validate = (manifests: string) =>
  spawnSync(program, [...args, '-strict', '-summary'], { input: manifests, encoding: 'utf8' });
/** It fetches schemas from the internet, unless it is told where they are. */
const there =
  hasHelm && /Errors: 0/.test(validate('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n').stdout ?? '');
if (!there)
  console.warn(
    'SKIPPED: kubeconform is not on the PATH, or gets no schemas; manifests are not held against Kubernetes schemas',
  );

describe.skipIf(!there).each(['kasm-db', 'kasm-single-zone'])('%s › kubeconform', (chart) => {
  it.each(valuesFiles(chart).map((file) => [file.split('/').at(-1), file]))('%s', (_, file) => {
    const { stdout, stderr, status } = helm(
      ['template', 'kasm', chartFolder(chart), '-n', 'kasm', '-f', file as string],
      undefined,
    );
    expect(status, stderr).toBe(0);
    const run = validate(stdout);
    expect(run.stdout, run.stderr).toMatch(/Invalid: 0, Errors: 0/);
  });
});
