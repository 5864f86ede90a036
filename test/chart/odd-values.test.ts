/** Values that are left empty or odd: an error with words, or manifests that an API server takes. KASM_DB_STRESS=1 tries 500 sets. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { chartFolder, HELMS, hasHelm, helm, type Manifest, manifestsIn, podsOf, renderText } from './helm.js';

const STRESS = Boolean(process.env.KASM_DB_STRESS);

const REQUIRED: Record<string, object> = {
  'kasm-db': { database: { host: 'db' }, credentials: { existingSecret: 'mine' } },
  'kasm-single-zone': { host: 'kasm.example.com', credentials: { existingSecret: 'mine' } },
};
const CHARTS = Object.keys(REQUIRED);

/** Paths of values, blocks included. What is copied into manifests as it stands is the API server's to judge. */
function paths(values: object, at: string[] = []): string[][] {
  return Object.entries(values).flatMap(([key, value]) => {
    const path = [...at, key];
    const block = value !== null && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length > 0;
    return [path, ...(block ? paths(value, path) : [])];
  });
}
const AS_THEY_STAND = /^(extra|affinity|tolerations|peers)/;
const pathsOf = (chart: string) =>
  // Helm itself refuses values of a dependency that are no map.
  paths(parse(readFileSync(`${chartFolder(chart)}/values.yaml`, 'utf8'))).filter(
    (path) => !AS_THEY_STAND.test(path.at(-1) as string) && path.join('.') !== 'kasm-db',
  );

/** REQUIRED with one value more. */
function withValue(values: object, [key, ...rest]: string[], value: unknown): object {
  const old = (values as Record<string, unknown>)[key as string];
  const inner = old !== null && typeof old === 'object' && !Array.isArray(old) ? old : {};
  return { ...values, [key as string]: rest.length === 0 ? value : withValue(inner, rest, value) };
}

/** What Go's templates and YAML say when they stumble; none of it tells anyone which value is meant. */
const TRACE =
  /nil pointer|<nil>|%!|wrong type|YAML parse error|error converting|unable to parse|expected \w+; (?:got|found)|invalid value; expected|can't evaluate|panic|interface conversion/;

/** What an API server refuses in any manifest. */
function expectSound(manifests: Manifest[]): void {
  const isStrings = (map: object = {}) => Object.values(map).every((value) => typeof value === 'string');
  for (const { kind, metadata, spec } of manifests) {
    expect(metadata.name, kind).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/);
    expect(metadata.namespace, kind).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
    expect(isStrings(metadata.labels) && isStrings(metadata.annotations), `${kind} ${metadata.name}`).toBe(true);
    if (spec?.selector?.matchLabels) expect(isStrings(spec.selector.matchLabels), kind).toBe(true);
    if (kind === 'Deployment' || kind === 'StatefulSet')
      expect(spec.replicas ?? 1, metadata.name).toBeGreaterThanOrEqual(1);
  }
  for (const { owner, spec, metadata } of podsOf(manifests)) {
    expect(isStrings(metadata.labels) && isStrings(metadata.annotations), owner).toBe(true);
    for (const { env = [], args = [], image } of [...(spec.initContainers ?? []), ...spec.containers]) {
      // Whoever names an image without a tag gets latest, as everywhere.
      expect(image, owner).toMatch(/^[a-z0-9][^\s]*$/i);
      for (const { name, value, valueFrom } of env)
        expect(valueFrom === undefined ? typeof value : 'string', `${owner} ${name}`).toBe('string');
      for (const arg of args) expect(typeof arg, owner).toBe('string');
    }
  }
}

function expectWordsOrSound(chart: string, values: object, program: string): void {
  const { status, stdout, stderr } = helm(
    ['template', 'kasmdemo', chartFolder(chart), '-n', 'kasm-helm'],
    values,
    program,
  );
  if (status !== 0) {
    expect(stderr.replace(/^.*walk\.go.*$/m, ''), JSON.stringify(values)).not.toMatch(TRACE);
    return;
  }
  expect(stdout, JSON.stringify(values)).not.toMatch(/<nil>|%!/);
  expectSound(manifestsIn(stdout));
}

describe.skipIf(!hasHelm).each(HELMS)('%s', (program) => {
  describe.each(CHARTS)('%s', (chart) => {
    it('a value that is left empty is named, or is left out', { timeout: 300_000 }, () => {
      const all = pathsOf(chart);
      const some = STRESS ? all : fc.sample(fc.constantFrom(...all), 8);
      for (const path of some) {
        const { status, stderr, stdout } = helm(
          ['template', 'kasmdemo', chartFolder(chart), '-n', 'kasm-helm'],
          withValue(REQUIRED[chart] as object, path, null),
          program,
        );
        if (status === 0) expectSound(manifestsIn(stdout));
        else expect(stderr, path.join('.')).toContain(path.at(-1));
        expect(stderr, path.join('.')).not.toMatch(TRACE);
      }
    });

    it('odd values are refused with words, or rendered soundly', { timeout: 900_000 }, () => {
      const odd = fc.constantFrom<unknown>(
        ...[null, '', ' ', 0, -1, 1.5, 99_999_999_999, true, false, [], {}, ['x'], [1], { a: 1 }, { a: { b: 'c' } }],
        ...[
          '123',
          '1e5',
          '0x10',
          'true',
          '~',
          '- a',
          'a: b',
          'a\nb',
          '{{ .Values }}',
          '"',
          "'",
          '#',
          'UPPER',
          'ünï',
          '%s',
        ],
      );
      const path = fc.constantFrom(...pathsOf(chart));
      fc.assert(
        fc.property(fc.array(fc.tuple(path, odd), { minLength: 1, maxLength: 3 }), (changes) => {
          let values = REQUIRED[chart] as object;
          for (const [at, value] of changes) values = withValue(values, at, value);
          expectWordsOrSound(chart, values, program);
        }),
        { numRuns: STRESS ? 500 : 12 },
      );
    });

    const cut = [41, 42, 49, 50].map((length) => `${'a'.repeat(length)}.${'b'.repeat(52 - length)}`);
    it.each(['123', 'true', '1e5', 'null', 'a.b', ...cut])('a release may be called %s', (release) => {
      const own = { onDemand: { enabled: true, commands: { 'restart-empty-tables': ['repair'] } } };
      const more = chart === 'kasm-db' ? own : { 'kasm-db': own };
      const values = { ...REQUIRED[chart], ...more, networkPolicy: { enabled: true } };
      expectSound(manifestsIn(renderText(values, { path: chartFolder(chart), release, program })));
    });
  });
});
