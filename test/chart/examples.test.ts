import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { chartFolder, hasHelm, type Manifest, manifestsIn, renderText } from './helm.js';

const textOf = (path: string) => readFileSync(join(import.meta.dirname, '../../examples', path), 'utf8');

/** The chart's values in each example that installs it, and whether its Job has to be a hook. */
const INSTALLS: [path: string, values: () => object, hook: boolean][] = [
  ['argocd/application.yaml', () => parse(textOf('argocd/application.yaml')).spec.source.helm.valuesObject, false],
  [
    'flux/helmrelease.yaml',
    () => parseAllDocuments(textOf('flux/helmrelease.yaml')).at(-1)?.toJS().spec.values as object,
    true,
  ],
  [
    'terraform/main.tf',
    // What stands in yamlencode(…) is YAML but for its signs.
    () => {
      const [, inner = ''] = /yamlencode\(\{\n(.*?)\n {2}\}\)/s.exec(textOf('terraform/main.tf')) ?? [];
      return parse(inner.replace(/^ +/gm, '').replace(/\s*= /g, ': '));
    },
    true,
  ],
];

describe.runIf(hasHelm)('examples', () => {
  it.each(INSTALLS)('%s renders', (_, values, hook) => {
    const manifests: Manifest[] = manifestsIn(renderText(values(), { path: chartFolder('kasm-db') }));
    const job = manifests.find(({ kind }) => kind === 'Job');
    expect(job.spec.template.spec.containers[0].args.slice(0, 2)).toEqual(['migrate', '--seed']);
    expect(job.metadata.annotations?.['helm.sh/hook'] !== undefined).toBe(hook);
  });
});
