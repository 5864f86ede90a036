/** Values and helm lines of the documentation, rendered by every helm that is there. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { fences, PAGES, ROOT, shellCommands } from '../support/markdown.js';
import { HELMS, hasHelm, helm, manifestsIn, readableSecrets, renderText } from './helm.js';

const snippets = PAGES.flatMap((page) => fences(page))
  .filter(({ mark }) => mark.startsWith('values: '))
  .map(({ mark, page, line, text }) => ({ chart: mark.slice('values: '.length), where: `${page}:${line}`, text }));

/** `helm install` and `helm upgrade` as the pages write them, but for those that need a cluster to make credentials. */
const lines = PAGES.flatMap((page) =>
  fences(page)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ line, text }) =>
      shellCommands(text)
        .filter(
          ({ words }) =>
            words[0] === 'helm' &&
            /^(install|upgrade|template)$/.test(words[1] ?? '') &&
            words.includes('chart/kasm-db'),
        )
        .map(({ words, input }) => ({ words: words.slice(2), input, where: `${page}:${line}` })),
    ),
);

/** What stands in a values file of the reader's. */
const YOURS = { database: { host: 'db.example' }, credentials: { existingSecret: 'kasm-credentials' } };
const isYours = (file: string | undefined) => file !== undefined && file !== '-' && !existsSync(join(ROOT, file));

describe.skipIf(!hasHelm)('charts in the documentation', () => {
  it('there are values and lines', () => {
    expect(snippets.length).toBeGreaterThanOrEqual(8);
    expect(lines.length).toBeGreaterThanOrEqual(3);
  });

  describe.each(HELMS)('%s', (program) => {
    it.each(snippets)('values in $where render', ({ chart, text }) => {
      const manifests = manifestsIn(renderText(parse(text), { path: join(ROOT, chart), program }));
      expect(manifests.map(({ kind }) => kind)).toContain('Job');
      expect(readableSecrets(manifests)).toEqual([]);
    });

    it.each(lines)('the line in $where renders', ({ words, input }) => {
      const [release = '', , ...rest] = words;
      const yours = rest.some((word, i) => word === '-f' && isYours(rest[i + 1]));
      const values = yours ? YOURS : input === '' ? undefined : parse(input);
      // helm() gives the values of a here-document, and of a file that only the reader has, by itself.
      const args = values ? rest.filter((word, i) => word !== '-f' && rest[i - 1] !== '-f') : rest;
      const { status, stdout, stderr } = helm(
        [
          'template',
          release,
          join(ROOT, 'chart/kasm-db'),
          ...args.filter((word) => !/^--(wait|atomic|install)$/.test(word)),
        ],
        values,
        program,
      );
      expect(status, stderr).toBe(0);
      // In mode manual the Jobs come from suspended CronJobs.
      expect(manifestsIn(stdout).map(({ kind }) => kind)).toEqual(
        expect.arrayContaining([expect.stringMatching(/Job$/)]),
      );
    });
  });
});
