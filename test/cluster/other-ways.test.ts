/** Without Helm's own install: synced as Argo CD does it, and with the users and groups that OpenShift gives. The controllers themselves are not there. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import {
  apply,
  CHARTS,
  kubectl,
  MIGRATOR,
  merge,
  migratorResults,
  must,
  namespace,
  pods,
  psqlBundled,
  psqlExternal,
  readyPods,
  run,
  secret,
  until,
  values,
  WITHOUT_GATEWAYS,
} from './cluster.js';
import { aroundAll, external, HELMS, rows, SCHEMA, SECRETS, seconds } from './release.js';

aroundAll();

interface Manifest {
  kind: string;
  metadata: { name: string; annotations?: Record<string, string> };
  spec?: { template?: { spec: PodSpec } } & PodSpec;
}
interface PodSpec {
  securityContext?: object;
  containers: { securityContext?: object }[];
  initContainers?: { securityContext?: object }[];
}

/** `helm template` without a cluster, as Argo CD calls it. */
async function template(program: string, ns: string, of: object): Promise<Manifest[]> {
  const text = await must(program, ['template', 'kasmdemo', 'kasm-single-zone', '--namespace', ns, '--values', '-'], {
    cwd: CHARTS,
    input: JSON.stringify(of),
  });
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest)
    .filter(Boolean);
}

const annotation = ({ metadata }: Manifest, name: string) => metadata.annotations?.[name] ?? '';
const waveOf = (manifest: Manifest) => Number(annotation(manifest, 'argocd.argoproj.io/sync-wave') || 0);

/** The phase in which Argo CD has it; Helm's hooks are its own, and those of a test none of its business. */
function phaseOf(manifest: Manifest): string {
  const ofHelm = annotation(manifest, 'helm.sh/hook');
  if (ofHelm.startsWith('test')) return 'none';
  return annotation(manifest, 'argocd.argoproj.io/hook') || (ofHelm.includes('pre-install') ? 'PreSync' : 'resource');
}

/** One sync: PreSync, then resources and Sync hooks in waves. A hook is deleted before it is made, and the next wave waits for its end. */
async function sync(ns: string, manifests: Manifest[]): Promise<void> {
  const hooks = (phase: string, wave: number) =>
    manifests.filter((manifest) => phaseOf(manifest) === phase && waveOf(manifest) === wave);
  const runHook = async (hook: Manifest) => {
    await kubectl('-n', ns, 'delete', hook.kind, hook.metadata.name, '--ignore-not-found', '--wait');
    await apply(hook);
    if (hook.kind !== 'Job') return;
    await kubectl('-n', ns, 'wait', '--for=condition=Complete', '--timeout=240s', `job/${hook.metadata.name}`);
  };
  for (const hook of hooks('PreSync', 0)) await runHook(hook);
  for (const wave of [...new Set(manifests.map(waveOf))].sort((a, b) => a - b)) {
    for (const manifest of hooks('resource', wave)) await apply(manifest);
    for (const hook of hooks('Sync', wave)) await runHook(hook);
  }
}

/** Names of API pods that are ready, when there are three. */
const threeApiPods = (ns: string) =>
  until('three API pods', 240, async () => {
    const ready = await readyPods(ns, 'kasm-api');
    return ready.length === 3 && ready.map(({ metadata }) => metadata.name).sort();
  });

describe.each(HELMS)('%s', (program) => {
  describe('Argo CD', () => {
    const argo = async (ns: string, kind: string, of: object, count: () => Promise<string>) => {
      const started = Date.now();
      await sync(ns, await template(program, ns, of));
      const first = await threeApiPods(ns);
      rows.push([
        kind,
        '(none)',
        program,
        "Argo CD's first sync",
        'as it should',
        seconds({ ms: Date.now() - started }),
      ]);
      expect(await count()).toBe(String(SCHEMA));
      const again = Date.now();
      await sync(ns, await template(program, ns, of));
      rows.push([
        kind,
        '(none)',
        program,
        "Argo CD's second sync",
        'as it should',
        seconds({ ms: Date.now() - again }),
      ]);
      expect((await migratorResults(ns)).at(-1)).toMatchObject({ outcome: 'ok', applied: [] });
      expect(await pods(ns, MIGRATOR)).toHaveLength(1);
      expect(await threeApiPods(ns)).toEqual(first);
      expect(await count()).toBe(String(SCHEMA));
      await kubectl('delete', 'namespace', ns, '--wait=false');
    };

    it('the recipe of docs/HELM.md, for a database in the application: two syncs', async () => {
      const ns = `kasm-test-argo-${program}`;
      await namespace(ns);
      await secret(ns, 'kasm-credentials', SECRETS);
      const page = readFileSync(`${CHARTS}/../docs/HELM.md`, 'utf8');
      const recipe = /## Argo CD and Flux[\s\S]*?```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
      const of = merge(values(ns, '0.1.0', WITHOUT_GATEWAYS), parse(recipe));
      const manifests = await template(program, ns, of);
      expect(manifests.filter((one) => phaseOf(one) === 'Sync').map(({ kind }) => kind)).toEqual(['Job']);
      await argo(ns, 'bundled', of, () => psqlBundled(ns, 'SELECT count(*) FROM kasm_db.migrations'));
    });

    it('mode hook, which becomes PreSync, for an external database: two syncs', async () => {
      const ns = `kasm-test-presync-${program}`;
      const of = values(ns, '0.1.0', merge(WITHOUT_GATEWAYS, await external(ns)));
      await argo(ns, 'external', of, () =>
        psqlExternal('SELECT count(*) FROM kasm_db.migrations', ns.replaceAll('-', '_')),
      );
    });
  });

  it("OpenShift: a user of the namespace's range, whom no image knows, in group 0, and without HOME", async () => {
    const ns = `kasm-test-openshift-${program}`;
    const database = await external(ns);
    const free = { runAsUser: null, databaseUser: null };
    const of = values(
      ns,
      '0.1.0',
      merge(merge(WITHOUT_GATEWAYS, database), {
        security: free,
        'kasm-db': { security: { runAsUser: null, runAsGroup: null, fsGroup: null } },
      }),
    );
    const manifests = await template(program, ns, of);
    // What the constraint restricted-v2 does to every pod, and refuses where a pod asks for something else.
    const user = 1_000_740_000;
    for (const { spec } of manifests) {
      const pod = spec?.template?.spec ?? (spec?.containers ? spec : undefined);
      if (!pod) continue;
      expect(JSON.stringify(pod)).not.toMatch(/"(runAsUser|runAsGroup|fsGroup)":/);
      pod.securityContext = { ...pod.securityContext, fsGroup: user };
      for (const container of [...pod.containers, ...(pod.initContainers ?? [])])
        container.securityContext = { ...container.securityContext, runAsUser: user };
    }
    const started = Date.now();
    const isTest = (one: Manifest) => annotation(one, 'helm.sh/hook').startsWith('test');
    for (const one of manifests.filter((one) => !isTest(one))) await apply(one);
    await threeApiPods(ns);
    rows.push([
      'external',
      '(none)',
      program,
      "OpenShift's users",
      'as it should',
      seconds({ ms: Date.now() - started }),
    ]);
    expect((await migratorResults(ns)).at(-1)).toMatchObject({ outcome: 'ok', exitCode: 0 });
    const [test] = manifests.filter(isTest);
    await apply(test as Manifest);
    const ended = await until('the test pod', 60, async () => {
      const { stdout } = await run('kubectl', [
        '-n',
        ns,
        'get',
        'pod',
        'kasmdemo-migrate-test',
        '-o',
        'jsonpath={.status.phase}',
      ]);
      return /Succeeded|Failed/.test(stdout) && stdout;
    });
    expect(ended).toBe('Succeeded');
    await kubectl('delete', 'namespace', ns, '--wait=false');
  });
});
