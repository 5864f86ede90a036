/** Every values file that users find as an example renders to manifests of Kubernetes' own schema: nothing misspelt, nothing misplaced. */
import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folder } from '../support/folder.js';
import { chartFolder, HELMS, hasHelm, helm, valuesFiles } from './helm.js';
import { openapiFile, writeSchemas } from './kubernetes-schemas.js';

const program = process.env.KASM_TEST_KUBECONFORM ?? 'kubeconform';
const openapi = openapiFile();
const there = hasHelm && openapi !== undefined && spawnSync(program, ['-v']).status === 0;
if (!there)
  console.warn(
    "SKIPPED: no kubeconform on the PATH, or no OpenAPI document of Kubernetes (KASM_TEST_OPENAPI, or Go's module cache); manifests are not held against Kubernetes' schemas",
  );
const location = there ? writeSchemas(openapi, join(folder({}), 'kubernetes-schemas')) : '';

/** @returns what kubeconform says of manifests */
function validate(manifests: string): string {
  const { stdout, stderr } = spawnSync(program, ['-strict', '-summary', '-schema-location', location], {
    input: manifests,
    encoding: 'utf8',
  });
  return stdout + stderr;
}

describe.skipIf(!there)('kubeconform', () => {
  it('refuses a name that Kubernetes does not know, however deep', () => {
    const pod = (container: string) =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: [{name: a, image: a, ${container}}]\n`;
    expect(validate(pod('resources: {requests: {cpu: 1, memory: 1Gi}}'))).toMatch(/Valid: 1, Invalid: 0, Errors: 0/);
    expect(validate(pod('imagePullPolice: Never'))).toMatch(/imagePullPolice[\s\S]*Invalid: 1/);
  });

  describe.each(HELMS)('%s', (program) => {
    const files = ['kasm-db', 'kasm-single-zone'].flatMap((chart) =>
      valuesFiles(chart).map((file) => [chart, basename(file), file] as const),
    );
    it.each(files)('%s, %s', (chart, _, file) => {
      const { stdout, stderr, status } = helm(
        ['template', 'kasm', chartFolder(chart), '-n', 'kasm', '-f', file],
        undefined,
        program,
      );
      expect(status, stderr).toBe(0);
      expect(validate(stdout)).toMatch(/Invalid: 0, Errors: 0, Skipped: 0/);
    });
  });
});
