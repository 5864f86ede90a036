/** As much of a Kubernetes API server as `helm template --dry-run=server` asks for, so that what `lookup` sees can be made up. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Manifest, manifestsIn } from './helm.js';

/** Kinds that the charts render or look up, by group and version. */
const KINDS: Record<string, string[]> = {
  v1: ['ConfigMap', 'Namespace', 'PersistentVolumeClaim', 'Pod', 'Secret', 'Service', 'ServiceAccount'],
  'apps/v1': ['Deployment', 'StatefulSet'],
  'autoscaling/v2': ['HorizontalPodAutoscaler'],
  'batch/v1': ['CronJob', 'Job'],
  'networking.k8s.io/v1': ['Ingress', 'NetworkPolicy'],
  'policy/v1': ['PodDisruptionBudget'],
};

const plural = (kind: string) =>
  (kind.endsWith('y') ? `${kind.slice(0, -1)}ies` : kind.endsWith('s') ? `${kind}es` : `${kind}s`).toLowerCase();
const PATHS = new Map(
  Object.entries(KINDS).flatMap(([version, kinds]) =>
    kinds.map((kind) => [`${version}/${plural(kind)}`, { version, kind }] as const),
  ),
);

function answer(path: string, objects: readonly Manifest[]): object | undefined {
  const versions = Object.keys(KINDS);
  if (path === '/version') return { major: '1', minor: '34', gitVersion: 'v1.34.0' };
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  if (path === '/apis')
    return {
      kind: 'APIGroupList',
      groups: versions
        .filter((version) => version !== 'v1')
        .map((groupVersion) => {
          const [name, version] = groupVersion.split('/');
          return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
        }),
    };
  const [, root, ...rest] = path.split('/');
  const version = root === 'api' ? (rest.shift() as string) : `${rest.shift()}/${rest.shift()}`;
  if (rest.length === 0 && KINDS[version])
    return {
      kind: 'APIResourceList',
      groupVersion: version,
      resources: KINDS[version].map((kind) => ({
        name: plural(kind),
        kind,
        namespaced: kind !== 'Namespace',
        verbs: ['get', 'list'],
      })),
    };
  const [, namespace, resource, name] = rest;
  const known = PATHS.get(`${version}/${resource}`);
  if (!known) return undefined;
  const found = objects.filter(({ kind, metadata }) => kind === known.kind && metadata.namespace === namespace);
  if (name === undefined) return { apiVersion: known.version, kind: `${known.kind}List`, metadata: {}, items: found };
  return found.find(({ metadata }) => metadata.name === name);
}

export interface ServedRender {
  release?: string;
  args?: string[];
  program?: string;
}

/**
 * Renders a chart with a cluster to ask.
 * @param objects what is there, beside the namespace kasm-helm
 * @throws Error with helm's words
 */
export async function renderServed(
  path: string,
  values: object,
  objects: readonly Manifest[],
  options: ServedRender = {},
): Promise<Manifest[]> {
  return manifestsIn(await helmServed('template', path, values, objects, options));
}

/** What `helm install` would print at its end. The same parameters. */
export async function notesServed(...of: Parameters<typeof renderServed>): Promise<string> {
  const said = await helmServed('install', ...of);
  return said.slice(said.indexOf('\nNOTES:'));
}

async function helmServed(
  verb: 'template' | 'install',
  path: string,
  values: object,
  objects: readonly Manifest[],
  { release = 'kasmdemo', args = [], program = 'helm' }: ServedRender = {},
): Promise<string> {
  const all = [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kube-root-ca.crt', namespace: 'kasm-helm' } },
    ...objects.map((object) => ({ ...object, metadata: { namespace: 'kasm-helm', ...object.metadata } })),
  ];
  const server = createServer((request, response) => {
    const found = answer((request.url ?? '').replace(/\?.*/, ''), all);
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(found ?? { apiVersion: 'v1', kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = mkdtempSync(join(tmpdir(), 'kasm-db-api-'));
  const config = join(folder, 'kubeconfig');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(
    config,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'made-up',
      clusters: [{ name: 'made-up', cluster: { server: url } }],
      contexts: [{ name: 'made-up', context: { cluster: 'made-up', user: '' } }],
    }),
  );
  const command = [verb, release, path, '-n', 'kasm-helm', '--dry-run=server', '--disable-openapi-validation'];
  try {
    return await new Promise((resolve, reject) => {
      const child = execFile(
        program,
        [...command, ...args, '--values', '-'],
        // Discovery is cached by server address below HOME.
        {
          env: { ...process.env, KUBECONFIG: config, HOME: folder, XDG_CACHE_HOME: folder },
          maxBuffer: 16 * 1024 * 1024,
        },
        (error, stdout, stderr) => (error ? reject(new Error(stderr)) : resolve(stdout)),
      );
      child.stdin?.end(JSON.stringify(values));
    });
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
}
