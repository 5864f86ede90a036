/**
 * chart/kasm-db, rendered by the real helm. Without a helm on the PATH these tests are skipped, and say so.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Document, parseAllDocuments } from 'yaml';

const chart = fileURLToPath(new URL('../../chart/kasm-db', import.meta.url));
const hasHelm = spawnSync('helm', ['version', '--short']).status === 0;
if (!hasHelm) {
  console.warn('SKIPPED: test/chart/render.test.ts needs helm on the PATH; the chart is NOT tested by this run.');
}

// biome-ignore lint/suspicious/noExplicitAny: manifests are read as Kubernetes reads them, field by field
type Manifest = any;

const REQUIRED = { database: { host: 'db.example' }, credentials: { existingSecret: 'kasm-credentials' } };

const withMode = (mode: string, more: object = {}) => ({ ...REQUIRED, migrator: { mode }, ...more });

function helm(args: string[], values: object) {
  const result = spawnSync('helm', [...args, '--values', '-'], {
    input: JSON.stringify(values),
    encoding: 'utf8',
  });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** The manifests of a release of the chart, as objects. YAML 1.1, as Helm and Kubernetes read it. */
function render(values: object, { release = 'kasmdemo', path = chart, args = [] as string[] } = {}): Manifest[] {
  const { status, stdout, stderr } = helm(['template', release, path, '--namespace', 'kasm-helm', ...args], values);
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout, { version: '1.1' })
    .map((document) => (document as Document).toJS())
    .filter(Boolean);
}

function renderJob(values: object, options = {}): Manifest {
  const manifests = render(values, options);
  expect(manifests.map((manifest) => manifest.kind)).toEqual(['Job']);
  return manifests[0];
}

function refusal(values: object, path = chart): string {
  const { status, stderr } = helm(['template', 'kasmdemo', path, '--namespace', 'kasm-helm'], values);
  expect(status).not.toBe(0);
  return stderr;
}

const envOf = (container: Manifest): Record<string, string> => {
  for (const variable of container.env) expect(typeof variable.value).toBe('string');
  return Object.fromEntries(container.env.map((variable: Manifest) => [variable.name, variable.value]));
};

const RESTRICTED = {
  runAsNonRoot: true,
  runAsUser: 65532,
  runAsGroup: 65532,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

describe.skipIf(!hasHelm)('chart kasm-db', () => {
  it('passes helm lint --strict, with and without values', () => {
    for (const values of [{}, withMode('hook'), withMode('job'), withMode('manual')]) {
      const { status, stdout, stderr } = helm(['lint', '--strict', chart], values);
      expect(status, stdout + stderr).toBe(0);
    }
  });

  describe('mode hook', () => {
    it('is the default: a Job before install and upgrade, replaced by the next one', () => {
      expect(renderJob(REQUIRED)).toEqual(renderJob(withMode('hook')));
      const { metadata } = renderJob(REQUIRED);
      expect(metadata.annotations).toEqual({
        'helm.sh/hook': 'pre-install,pre-upgrade',
        'helm.sh/hook-weight': '0',
        'helm.sh/hook-delete-policy': 'before-hook-creation',
      });
    });

    it('has a constant name', () => {
      const later = { ...REQUIRED, image: { tag: '9.9.9' } };
      expect(renderJob(REQUIRED).metadata.name).toBe('kasmdemo-migrate');
      expect(renderJob(later, { args: ['--is-upgrade'] }).metadata.name).toBe('kasmdemo-migrate');
    });
  });

  describe('mode job', () => {
    const nameOf = (values: object, options = {}) => renderJob(values, options).metadata.name as string;

    it('is no hook', () => {
      expect(renderJob(withMode('job')).metadata.annotations).toBeUndefined();
    });

    it('has the revision and a hash of the pod in its name', () => {
      const name = nameOf(withMode('job'));
      expect(name).toMatch(/^kasmdemo-migrate-1-[0-9a-f]{8}$/);
      expect(nameOf(withMode('job'))).toBe(name);
      expect(nameOf(withMode('job', { image: { tag: '0.2.0' } }))).not.toBe(name);
      expect(nameOf(withMode('job', { database: { host: 'other.example' } }))).not.toBe(name);
    });

    it('keeps its name within 63 bytes, whatever the release is called', () => {
      const name = nameOf(withMode('job'), { release: `${'r'.repeat(43)}-${'r'.repeat(9)}` });
      expect(name).toMatch(/^r{43}-migrate-1-[0-9a-f]{8}$|^r{43}-r+-migrate-1-[0-9a-f]{8}$/);
      expect(name.length).toBeLessThanOrEqual(63);
    });
  });

  it('mode manual renders nothing, also without a database', () => {
    expect(render({ migrator: { mode: 'manual' } })).toEqual([]);
  });

  describe('the Job', () => {
    const job: Manifest = hasHelm ? render(REQUIRED)[0] : undefined;
    const pod = job?.spec.template.spec;
    const container = pod?.containers[0];

    it('stops at failures that no retry heals, and does not count disruptions', () => {
      expect(pod.restartPolicy).toBe('Never');
      expect(job.spec.backoffLimit).toBe(6);
      expect(job.spec.podFailurePolicy.rules).toEqual([
        { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
        {
          action: 'FailJob',
          onExitCodes: { containerName: container.name, operator: 'In', values: [1, 2, 6, 7, 8, 9] },
        },
      ]);
    });

    it("ends before Helm's default timeout of 5 minutes", () => {
      expect(job.spec.activeDeadlineSeconds + pod.terminationGracePeriodSeconds).toBeLessThan(300);
    });

    it('runs under the restricted Pod Security Standard', () => {
      expect(pod.securityContext).toEqual({
        runAsNonRoot: true,
        runAsUser: 65532,
        runAsGroup: 65532,
        fsGroup: 65532,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(pod.containers).toHaveLength(1);
      expect(container.securityContext).toEqual(RESTRICTED);
      expect(pod.enableServiceLinks).toBe(false);
      expect(pod.automountServiceAccountToken).toBe(false);
    });

    it('is told where the database is, and reads the password from a file', () => {
      expect(container.args).toEqual(['migrate', '--json']);
      expect(envOf(container)).toEqual({
        POSTGRES_HOST: 'db.example',
        POSTGRES_PORT: '5432',
        POSTGRES_DB: 'kasm',
        POSTGRES_USER: 'kasmapp',
        POSTGRES_PASSWORD_FILE: '/etc/kasm-db/database/password',
        PGSSLMODE: 'require',
        KASM_DB_TERMINATION_LOG: container.terminationMessagePath,
      });
      expect(container.terminationMessagePath).toBe('/dev/termination-log');
      expect(container.volumeMounts).toEqual([
        { name: 'kasm-db-password', mountPath: '/etc/kasm-db/database', readOnly: true },
      ]);
      expect(pod.volumes).toEqual([
        {
          name: 'kasm-db-password',
          secret: {
            secretName: 'kasm-credentials',
            defaultMode: 0o440,
            items: [{ key: 'db-password', path: 'password' }],
          },
        },
      ]);
    });
  });

  it('takes every value of the connection', () => {
    const pod = renderJob({
      image: {
        repository: 'registry.example/kasm-db',
        tag: '1.2.3',
        pullPolicy: 'Always',
        pullSecrets: ['pull'],
      },
      migrator: { backoffLimit: 2, activeDeadlineSeconds: 3600000, resources: { limits: { cpu: 1 } } },
      database: {
        host: 'a.example,b.example',
        port: 6432,
        name: '123',
        user: 'true',
        passwordSecret: { name: 'kasm-pg-app' },
        sslmode: 'verify-full',
        ca: { existingConfigMap: 'ca-bundle', key: 'bundle.pem' },
      },
    });
    expect(pod.spec).toMatchObject({ backoffLimit: 2, activeDeadlineSeconds: 3600000 });
    const { containers, imagePullSecrets, volumes } = pod.spec.template.spec;
    expect(imagePullSecrets).toEqual([{ name: 'pull' }]);
    expect(containers[0]).toMatchObject({
      image: 'registry.example/kasm-db:1.2.3',
      imagePullPolicy: 'Always',
      resources: { limits: { cpu: 1 } },
    });
    expect(envOf(containers[0])).toMatchObject({
      POSTGRES_HOST: 'a.example,b.example',
      POSTGRES_PORT: '6432',
      POSTGRES_DB: '123',
      POSTGRES_USER: 'true',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: '/etc/kasm-db/ca/ca.crt',
    });
    expect(containers[0].volumeMounts).toContainEqual({
      name: 'kasm-db-ca',
      mountPath: '/etc/kasm-db/ca',
      readOnly: true,
    });
    expect(volumes).toEqual([
      {
        name: 'kasm-db-password',
        secret: {
          secretName: 'kasm-pg-app',
          defaultMode: 0o440,
          items: [{ key: 'password', path: 'password' }],
        },
      },
      {
        name: 'kasm-db-ca',
        configMap: { name: 'ca-bundle', items: [{ key: 'bundle.pem', path: 'ca.crt' }] },
      },
    ]);
  });

  it('takes the CA from a Secret, the image by its digest, another key for the password', () => {
    const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
    const { containers, volumes } = renderJob({
      image: { digest, tag: 'not this one' },
      database: { host: 'db.example', ca: { existingSecret: 'db-ca' } },
      credentials: { existingSecret: 'mine', keys: { databasePassword: 'pg.password' } },
    }).spec.template.spec;
    expect(containers[0].image).toBe(`kasm-db@${digest}`);
    expect(volumes[0].secret.items).toEqual([{ key: 'pg.password', path: 'password' }]);
    expect(volumes[1].secret).toEqual({
      secretName: 'db-ca',
      defaultMode: 0o440,
      items: [{ key: 'ca.crt', path: 'ca.crt' }],
    });
  });

  it('with seed.enabled seeds from the Secret, a file a key', () => {
    const { containers, volumes } = renderJob({
      ...REQUIRED,
      seed: { enabled: true },
      credentials: { existingSecret: 'mine', keys: { serviceToken: 'registration-token' } },
    }).spec.template.spec;
    const directory = envOf(containers[0]).KASM_DB_SECRETS_DIR;
    expect(containers[0].args).toEqual(['migrate', '--seed', '--json']);
    expect(containers[0].volumeMounts).toContainEqual({
      name: 'kasm-db-secrets',
      mountPath: directory,
      readOnly: true,
    });
    const { secret } = volumes.find((volume: Manifest) => volume.name === 'kasm-db-secrets');
    expect(secret).toMatchObject({ secretName: 'mine', defaultMode: 0o440, optional: true });
    expect(secret.items).toEqual([
      { key: 'admin-password', path: 'admin-password' },
      { key: 'user-password', path: 'user-password' },
      { key: 'manager-token', path: 'manager-token' },
      { key: 'registration-token', path: 'service-token' },
    ]);
  });

  describe('refuses', () => {
    it.each<[string, object, RegExp]>([
      ['a typo in values', { ...REQUIRED, migrater: { mode: 'job' } }, /'migrater' not allowed/],
      ['a typo further down', { ...REQUIRED, migrator: { modus: 'job' } }, /'modus' not allowed/],
      ['a password in values', { ...REQUIRED, database: { host: 'db', password: 'x' } }, /'password' not allowed/],
      ['an unknown mode', withMode('hooks'), /must be one of/],
      ['an unknown sslmode', { ...REQUIRED, database: { host: 'db', sslmode: 'on' } }, /must be one of/],
      ['a URL for a host', { ...REQUIRED, database: { host: 'postgres://u:p@db' } }, /does not match pattern/],
      ['a port as text', { ...REQUIRED, database: { host: 'db', port: '5432' } }, /got string, want integer/],
      ['a wait without a unit', { ...REQUIRED, gate: { wait: '10' } }, /does not match pattern/],
      ['no host', { credentials: { existingSecret: 'mine' } }, /set database\.host/],
      [
        'no Secret, with the command that makes one',
        { database: { host: 'db' } },
        /kubectl -n kasm-helm create secret generic kasm-credentials --from-file=db-password=/,
      ],
      [
        'a seed without its Secret',
        { database: { host: 'db', passwordSecret: { name: 'pg' } }, seed: { enabled: true } },
        /seed\.enabled needs credentials\.existingSecret/,
      ],
      [
        'two CAs',
        { ...REQUIRED, database: { host: 'db', ca: { existingSecret: 'a', existingConfigMap: 'b' } } },
        /set one of database\.ca/,
      ],
    ])('%s', (_, values, message) => {
      expect(refusal(values)).toMatch(message);
    });
  });

  it.each(['hook', 'job'])('puts no secret anywhere: mode %s', (mode) => {
    const manifests = render(withMode(mode, { seed: { enabled: true } }));
    expect(manifests.filter(({ kind }) => kind === 'ConfigMap' || kind === 'Secret')).toEqual([]);
    for (const { args, command, env } of manifests[0].spec.template.spec.containers) {
      expect([args, command].flat().filter((text) => /pass|token|secret|postgres(ql)?:/i.test(text ?? ''))).toEqual([]);
      for (const { name, value } of env) {
        if (/PASS|TOKEN|SECRET|KEY/.test(name)) expect(name, value).toMatch(/_(FILE|DIR)$/);
      }
    }
    for (const { mountPath, subPath } of manifests[0].spec.template.spec.containers[0].volumeMounts) {
      expect(mountPath).toMatch(/^\/etc\/kasm-db\//);
      expect(subPath).toBeUndefined();
    }
  });

  describe('the gate, in the pod of a parent chart', () => {
    let parent = '';

    beforeAll(() => {
      parent = mkdtempSync(join(tmpdir(), 'kasm-db-chart-'));
      mkdirSync(join(parent, 'templates'));
      writeFileSync(
        join(parent, 'Chart.yaml'),
        'apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies: [{name: kasm-db, version: 0.1.0, condition: kasm-db.enabled}]\n',
      );
      writeFileSync(
        join(parent, 'templates/api.yaml'),
        `kind: Pod
spec:
  initContainers: {{- include "kasm-db.gate" . | nindent 4 }}
  volumes: {{- include "kasm-db.gate.volumes" . | nindent 4 }}
`,
      );
      cpSync(chart, join(parent, 'charts/kasm-db'), { recursive: true });
    });
    afterAll(() => rmSync(parent, { recursive: true }));

    const renderPod = (values: object): Manifest =>
      render({ 'kasm-db': values, global: { any: 1 } }, { path: parent }).find(({ kind }) => kind === 'Pod');

    it('checks and waits', () => {
      const { initContainers, volumes } = renderPod({ enabled: true, ...REQUIRED }).spec;
      expect(initContainers).toHaveLength(1);
      expect(initContainers[0]).toMatchObject({ name: 'kasm-db-gate', image: 'kasm-db:0.1.0' });
      expect(initContainers[0].args).toEqual(['check', '--wait', '10m']);
      expect(initContainers[0].securityContext).toEqual(RESTRICTED);
      expect(envOf(initContainers[0])).toMatchObject({ POSTGRES_HOST: 'db.example' });
      expect(initContainers[0].volumeMounts.map(({ name }: Manifest) => name)).toEqual(['kasm-db-password']);
      expect(volumes.map(({ name }: Manifest) => name)).toEqual(['kasm-db-password']);
      expect(volumes[0].secret.defaultMode).toBe(0o440);
    });

    it('waits for the seed too, without reading what it is made from', () => {
      const { initContainers, volumes } = renderPod({
        ...REQUIRED,
        seed: { enabled: true },
        gate: { wait: '90s', resources: { limits: { memory: '1Gi' } } },
        migrator: { mode: 'manual' },
      }).spec;
      expect(initContainers[0].args).toEqual(['check', '--seed', '--wait', '90s']);
      expect(initContainers[0].resources.limits).toEqual({ memory: '1Gi' });
      expect(envOf(initContainers[0])).not.toHaveProperty('KASM_DB_SECRETS_DIR');
      expect(volumes).toHaveLength(1);
    });

    it('reads the same database as the Job', () => {
      const values = { ...REQUIRED, database: { host: 'db', port: 6432, ca: { existingSecret: 'db-ca' } } };
      const { initContainers, volumes } = renderPod(values).spec;
      const job = renderJob(values).spec.template.spec;
      expect(initContainers[0].env).toEqual(job.containers[0].env);
      expect(initContainers[0].volumeMounts).toEqual(job.containers[0].volumeMounts);
      expect(volumes).toEqual(job.volumes);
    });

    it('fails with the same words', () => {
      expect(refusal({ 'kasm-db': { migrator: { mode: 'manual' } } }, parent)).toMatch(/set database\.host/);
      expect(refusal({ 'kasm-db': { ...REQUIRED, sead: {} } }, parent)).toMatch(/'sead' not allowed/);
    });
  });
});
