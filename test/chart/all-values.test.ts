/** Every values file in chart/<name>/ci/ through every helm that is there: what must hold for all of them. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isMap, parse, parseDocument } from 'yaml';
import {
  chartFolder,
  HELMS,
  hasHelm,
  helm,
  type Manifest,
  manifestsIn,
  notRestricted,
  podsOf,
  readableSecrets,
  renderText,
  valuesFiles,
} from './helm.js';

const CHARTS = readdirSync(chartFolder('')).filter((name) => existsSync(`${chartFolder(name)}/Chart.yaml`));

const every = HELMS.flatMap((program) =>
  CHARTS.flatMap((chart) => valuesFiles(chart).map((file) => [program, chart, basename(file), file] as const)),
);

describe.skipIf(!hasHelm)('all values', () => {
  it('there are some for each chart', () => {
    for (const chart of CHARTS) expect(valuesFiles(chart).length, chart).toBeGreaterThanOrEqual(3);
  });

  describe.each(every)('%s, chart %s, %s', (program, chart, _, file) => {
    const path = chartFolder(chart);
    const text = renderText(undefined, { path, program, args: ['--values', file] });
    const manifests = manifestsIn(text);
    const pods = podsOf(manifests);

    it('lint --strict', () => {
      const { status, stdout, stderr } = helm(['lint', '--strict', path, '--values', file], undefined, program);
      expect(status, stdout + stderr).toBe(0);
      expect(stdout + stderr).not.toMatch(/WARNING|ERROR|warning:/);
    });

    it('renders twice the same', () => {
      expect(renderText(undefined, { path, program, args: ['--values', file] })).toBe(text);
    });

    it('names are unique, and in one namespace', () => {
      const names = manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
      expect(names).toEqual([...new Set(names)]);
      expect(new Set(manifests.map(({ metadata }) => metadata.namespace)).size).toBeLessThanOrEqual(1);
      for (const { metadata } of manifests) expect(metadata.namespace).toEqual(expect.any(String));
    });

    it('no secret is readable', () => {
      expect(readableSecrets(manifests)).toEqual([]);
      expect(manifests.filter(({ kind }) => kind === 'Secret')).toEqual([]);
    });

    it('pods are restricted, without service links and token', () => {
      for (const pod of pods) {
        expect(notRestricted(pod), pod.owner).toEqual([]);
        expect(pod.spec.enableServiceLinks, pod.owner).toBe(false);
        expect(pod.spec.automountServiceAccountToken, pod.owner).toBe(false);
      }
    });

    it('every mount has its volume, every volume its mount', () => {
      for (const { owner, spec } of pods) {
        const volumes = (spec.volumes ?? []).map(({ name }: Manifest) => name);
        const containers = [...(spec.initContainers ?? []), ...spec.containers];
        const mounted = containers.flatMap(({ volumeMounts = [] }: Manifest) =>
          volumeMounts.map(({ name }: Manifest) => name),
        );
        const claims = manifests
          .filter(({ kind, metadata }) => `${kind}/${metadata.name}` === owner)
          .flatMap(({ spec }) => (spec.volumeClaimTemplates ?? []).map(({ metadata }: Manifest) => metadata.name));
        expect([...new Set(mounted)].sort(), owner).toEqual([...new Set([...volumes, ...claims])].sort());
      }
    });

    it('variables are declared once in a container: server-side apply refuses two of a name', () => {
      for (const { owner, spec } of pods)
        for (const { name, env = [] } of [...(spec.initContainers ?? []), ...spec.containers]) {
          const variables = env.map((variable: Manifest) => variable.name);
          expect(variables, `${owner} ${name}`).toEqual([...new Set(variables)]);
        }
    });

    it('ports are declared once in a pod', () => {
      for (const { owner, spec } of pods) {
        const ports = spec.containers.flatMap((container: Manifest) => container.ports ?? []);
        expect(new Set(ports.map(({ containerPort }: Manifest) => containerPort)).size, owner).toBe(ports.length);
      }
    });
  });
});

describe('values.schema.json', () => {
  /** Paths of all values, those of empty maps included. */
  const paths = (map: Manifest, at: string[] = []): string[] =>
    map.items.flatMap(({ key, value }: Manifest) => {
      const path = [...at, key.value];
      return isMap(value) && value.items.length > 0 && !value.flow ? paths(value, path) : [path.join('.')];
    });

  it.each(CHARTS)('of %s knows every value, and refuses every typo and what is left empty', (chart) => {
    const values = parseDocument(readFileSync(`${chartFolder(chart)}/values.yaml`, 'utf8')).contents;
    const schema = parse(readFileSync(`${chartFolder(chart)}/values.schema.json`, 'utf8'));
    const resolve = (node: Manifest): Manifest =>
      node.$ref ? resolve(schema.definitions[node.$ref.split('/').at(-1)]) : node;
    for (const path of paths(values)) {
      const isNull = (values as Manifest).getIn(path.split('.')) === null;
      // Another chart's values are checked by its own schema.
      if (path.startsWith('kasm-db.')) continue;
      let node = schema;
      for (const name of path.split('.')) {
        // Names that users choose, such as annotations.
        if (typeof node.additionalProperties === 'object') break;
        expect(node.additionalProperties, `${path}: a typo beside ${name} is not refused`).toBe(false);
        expect(Object.keys(node.properties), path).toContain(name);
        // A value that is left empty is no value: Helm drops the default too. Only ids may be (OpenShift), and replicas (an autoscaler).
        if (!isNull && !/^security\.|\.replicas$|(^|\.)resources\./.test(path))
          expect(node.required, `${path}: left empty, it is not named`).toContain(name);
        node = resolve(node.properties[name]);
      }
    }
  });
});

it('the READMEs of the charts are made from values.yaml', () => {
  const script = chartFolder('../scripts/chart-readme.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
});
