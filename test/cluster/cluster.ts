/** What the cluster tests do to a cluster: helm, kubectl, psql, and the values that put stand-ins in the place of Kasm's images. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const CHARTS = fileURLToPath(new URL('../../chart', import.meta.url));
export const HELM_TIMEOUT = process.env.KASM_TEST_TIMEOUT ?? '5m';
export const hasHelm4 = spawnSync('helm4', ['version', '--short']).status === 0;

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
  ms: number;
}

/** Runs a program to its end, however it ends. */
export function run(
  program: string,
  args: string[],
  { input, cwd }: { input?: string; cwd?: string } = {},
): Promise<Ended> {
  const started = Date.now();
  return new Promise((resolve) => {
    const child = execFile(program, args, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) || 1 : 0, stdout, stderr, ms: Date.now() - started });
    });
    // One that ends without having read it.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
  });
}

/** @throws Error with what the program said */
export async function must(
  program: string,
  args: string[],
  options: { input?: string; cwd?: string } = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr || stdout}`);
  return stdout.trim();
}

export const kubectl = (...args: string[]) => must('kubectl', args);
export const apply = (manifest: object) => must('kubectl', ['apply', '-f', '-'], { input: JSON.stringify(manifest) });

/** Waits for what comes by itself. @throws Error when the time is up */
export async function until<T>(what: string, seconds: number, look: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    const seen = await look().catch(() => undefined);
    if (seen) return seen;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  throw new Error(`${what}: not within ${seconds} s`);
}

/** A new namespace that takes restricted pods only, with the TLS Secrets that the documented command needs. */
export async function namespace(name: string): Promise<void> {
  await kubectl('delete', 'namespace', name, '--ignore-not-found', '--wait');
  await apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  });
  for (const secret of ['nginx-ingress-cert', 'rdp-proxy-cert']) {
    const { certificate, key } = await certificateFor('kasm.example.com');
    await tlsSecret(name, secret, certificate, key);
  }
  await until('the namespace is ready', 30, () => kubectl('-n', name, 'get', 'configmap', 'kube-root-ca.crt'));
}

const tlsSecret = (namespace: string, name: string, certificate: string, key: string) =>
  apply({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name, namespace },
    stringData: { 'tls.crt': certificate, 'tls.key': key },
  });

export const secret = (namespace: string, name: string, stringData: Record<string, string>) =>
  apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData });

/** A certificate that signs itself, and is its own CA. */
export async function certificateFor(host: string): Promise<{ certificate: string; key: string }> {
  const both = await must('openssl', [
    ...['req', '-x509', '-nodes', '-days', '30', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    ...['-subj', `/CN=${host}`.slice(0, 60), '-addext', `subjectAltName=DNS:${host}`, '-keyout', '-', '-out', '-'],
  ]);
  const block = (label: string) =>
    new RegExp(`-----BEGIN ${label}-----[\\s\\S]*?-----END ${label}-----\\n?`).exec(`${both}\n`)?.[0] ?? '';
  return { certificate: block('CERTIFICATE'), key: block('PRIVATE KEY') };
}

const STANDIN = 'kasm-test/standin:1';
const small = { requests: { cpu: '5m', memory: '16Mi' }, limits: { memory: '256Mi' } };

/** Values of chart kasm-single-zone: stand-ins, small, in this namespace, with this build of kasm-db. */
export const values = (namespace: string, tag: string, more: object = {}): object =>
  merge(
    {
      host: 'kasm.example.com',
      namespace,
      proxy: { image: STANDIN, replicas: 1, resources: small },
      api: { image: STANDIN, resources: small },
      manager: { image: STANDIN, replicas: 1, resources: small },
      guac: { image: STANDIN, resources: small },
      rdpGateway: { image: STANDIN, resources: small },
      rdpHttpsGateway: { image: STANDIN, resources: small },
      share: { image: STANDIN, resources: small },
      redis: { image: STANDIN, resources: small },
      database: { image: STANDIN, resources: small },
      'kasm-db': { image: { repository: 'kasm-db', tag }, migrator: { resources: small }, gate: { resources: small } },
    },
    more,
  );

/** Only what talks to the database. */
export const WITHOUT_GATEWAYS = {
  guac: { enabled: false },
  rdpGateway: { enabled: false },
  rdpHttpsGateway: { enabled: false },
};

export function merge(a: object, b: object): object {
  const result: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const old = result[key];
    const maps = [old, value].every((one) => one && typeof one === 'object' && !Array.isArray(one));
    result[key] = maps ? merge(old as object, value as object) : value;
  }
  return result;
}

/** helm in the folder chart/, as the documented commands are called. The release is kept beside what it makes. */
export function helm(verb: string, args: string[], valuesOf?: object, program = 'helm'): Promise<Ended> {
  return run(program, [verb, ...args, ...(valuesOf ? ['--values', '-'] : [])], {
    cwd: CHARTS,
    ...(valuesOf ? { input: JSON.stringify(valuesOf) } : {}),
  });
}

export interface Pod {
  metadata: { name: string; labels: Record<string, string>; creationTimestamp: string; deletionTimestamp?: string };
  status: {
    phase: string;
    conditions?: { type: string; status: string }[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
}
interface ContainerStatus {
  name: string;
  ready: boolean;
  restartCount: number;
  state: {
    terminated?: { exitCode: number; message?: string; reason?: string };
    running?: object;
    waiting?: { reason: string };
  };
}

export async function pods(namespace: string, selector: string): Promise<Pod[]> {
  return JSON.parse(await kubectl('-n', namespace, 'get', 'pods', '-l', selector, '-o', 'json')).items;
}

export const MIGRATOR = 'app.kubernetes.io/component=migrator';

/** Results that the migrator's pods ended with, oldest first. */
export async function migratorResults(namespace: string): Promise<Record<string, never>[]> {
  const all = await pods(namespace, MIGRATOR);
  return all
    .sort((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp))
    .flatMap(({ status }) => [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])])
    .flatMap(({ state }) => (state.terminated?.message ? [JSON.parse(state.terminated.message)] : []));
}

export const readyPods = async (namespace: string, name: string) =>
  (await pods(namespace, `app.kubernetes.io/name=${name}`)).filter(
    ({ metadata, status }) =>
      !metadata.deletionTimestamp &&
      status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
  );

/** The PostgreSQL that exists outside of the releases, with TLS by a CA of its own. */
export const EXTERNAL = 'kasm-test-postgres';
export const EXTERNAL_HOST = `postgres.${EXTERNAL}.svc.cluster.local`;

export async function externalPostgres(password: string): Promise<{ ca: string }> {
  // That of a run which goes on beside this one, or which KASM_TEST_KEEP left.
  const there = await run('kubectl', [
    '-n',
    EXTERNAL,
    'get',
    'secret',
    'postgres-tls',
    '-o',
    'jsonpath={.data.tls\\.crt}',
  ]);
  if (process.env.KASM_TEST_KEEP && there.code === 0) return { ca: Buffer.from(there.stdout, 'base64').toString() };
  await namespace(EXTERNAL);
  const { certificate, key } = await certificateFor(EXTERNAL_HOST);
  await tlsSecret(EXTERNAL, 'postgres-tls', certificate, key);
  await secret(EXTERNAL, 'postgres', { password });
  const labels = { app: 'postgres' };
  await apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'postgres', namespace: EXTERNAL },
    data: {
      'pg_hba.conf': 'local all all trust\nhost all all 127.0.0.1/32 trust\nhostssl all all all scram-sha-256\n',
    },
  });
  await apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'postgres', namespace: EXTERNAL },
    spec: { selector: labels, ports: [{ port: 5432 }] },
  });
  await apply({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'postgres', namespace: EXTERNAL },
    spec: {
      replicas: 1,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 70,
            runAsGroup: 70,
            fsGroup: 70,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [
            {
              name: 'postgres',
              image: STANDIN,
              args: [
                ...[
                  'postgres',
                  '-c',
                  'listen_addresses=*',
                  '-c',
                  'unix_socket_directories=/tmp',
                  '-c',
                  'hba_file=/conf/pg_hba.conf',
                ],
                ...[
                  '-c',
                  'ssl=on',
                  '-c',
                  'ssl_cert_file=/tls/tls.crt',
                  '-c',
                  'ssl_key_file=/tls/tls.key',
                  '-c',
                  'max_connections=200',
                ],
              ],
              env: [
                { name: 'POSTGRES_USER', value: 'postgres' },
                { name: 'POSTGRES_DB', value: 'unused' },
                { name: 'PGDATA', value: '/var/lib/postgresql/data/pgdata' },
                { name: 'POSTGRES_PASSWORD', valueFrom: { secretKeyRef: { name: 'postgres', key: 'password' } } },
              ],
              readinessProbe: {
                exec: { command: ['pg_isready', '-h', '127.0.0.1'] },
                periodSeconds: 2,
                // After the usual second on a busy node, the service would refuse everybody.
                timeoutSeconds: 10,
              },
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
              volumeMounts: [
                { name: 'data', mountPath: '/var/lib/postgresql/data' },
                { name: 'tls', mountPath: '/tls' },
                { name: 'conf', mountPath: '/conf' },
              ],
            },
          ],
          volumes: [
            { name: 'data', emptyDir: {} },
            { name: 'tls', secret: { secretName: 'postgres-tls', defaultMode: 0o440 } },
            { name: 'conf', configMap: { name: 'postgres' } },
          ],
        },
      },
    },
  });
  await kubectl('-n', EXTERNAL, 'rollout', 'status', 'deployment/postgres', '--timeout=180s');
  return { ca: certificate };
}

/** Asks the external server, as its superuser. */
export const psqlExternal = (sql: string, database = 'postgres') =>
  kubectl(
    '-n',
    EXTERNAL,
    'exec',
    'deploy/postgres',
    '--',
    'psql',
    '-h',
    '127.0.0.1',
    '-U',
    'postgres',
    '-XAtc',
    sql,
    database,
  );

/** Asks the database that a release brought along. */
export const psqlBundled = (namespace: string, sql: string) =>
  kubectl('-n', namespace, 'exec', 'db-0', '--', 'psql', '-h', '127.0.0.1', '-U', 'kasmapp', '-XAtc', sql, 'kasm');
