/** chart/kasm-db, rendered by the real helm. Without a helm on the PATH these tests are skipped, and say so. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  chartFolder,
  envOf,
  hasHelm,
  type Manifest,
  manifestsIn,
  podsOf,
  RESTRICTED,
  type RenderOptions,
  refusal as refuse,
  renderText,
} from './helm.js';

const chart = chartFolder('kasm-db');
const { version: VERSION } = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8'));

const REQUIRED = { database: { host: 'db.example' }, credentials: { existingSecret: 'kasm-credentials' } };

const withMode = (mode: string, more: object = {}) => ({ ...REQUIRED, migrator: { mode }, ...more });

const render = (values: object, options: RenderOptions = {}): Manifest[] =>
  manifestsIn(renderText(values, { path: chart, ...options }));

function renderJob(values: object, options: RenderOptions = {}): Manifest {
  const manifests = render(values, options);
  expect(manifests.map((manifest) => manifest.kind).sort()).toEqual(['Job', 'Pod']);
  return manifests.find(({ kind }) => kind === 'Job');
}

const refusal = (values: object, path = chart) => refuse(values, path);

describe.skipIf(!hasHelm)('chart kasm-db', () => {
  describe('mode hook', () => {
    it('is the default: a Job before install and upgrade, replaced by the next one', () => {
      expect(renderJob(REQUIRED)).toEqual(renderJob(withMode('hook')));
      const { metadata } = renderJob(REQUIRED);
      expect(metadata.annotations).toEqual({
        'helm.sh/hook': 'pre-install,pre-upgrade',
        'helm.sh/hook-weight': '20',
        'helm.sh/hook-delete-policy': 'before-hook-creation',
        'helm.sh/hook-output-log-policy': 'hook-failed',
      });
    });

    it("comes after a parent's Secrets (weight 0) and dumps (10), and its own Secret and NetworkPolicy before it", () => {
      const more = { networkPolicy: { enabled: true, hookWeight: 29 } };
      const weights = render({ ...withMode('hook', more), migrator: { hookWeight: 30 } })
        .filter(({ kind }) => kind !== 'Pod')
        .map(({ kind, metadata }) => [kind, metadata.annotations['helm.sh/hook-weight']]);
      expect(weights.sort()).toEqual([
        ['Job', '30'],
        ['NetworkPolicy', '29'],
      ]);
      expect(refusal(withMode('hook', { networkPolicy: { hookWeight: 20 } }))).toMatch(
        /networkPolicy\.hookWeight \(20\) must be below migrator\.hookWeight \(20\)/,
      );
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
    const job: Manifest = hasHelm ? renderJob(REQUIRED) : undefined;
    const pod = job?.spec.template.spec;
    const container = pod?.containers[0];

    it('stops at failures that no retry heals, and does not count disruptions', () => {
      expect(pod.restartPolicy).toBe('Never');
      expect(job.spec.backoffLimit).toBe(3);
      expect(job.spec.podFailurePolicy.rules).toEqual([
        { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
        { action: 'FailJob', onExitCodes: { operator: 'In', values: expect.any(Array) } },
      ]);
    });

    it('keeps a pod that runs out of time: the deadline of a Job removes it, with its reason', () => {
      expect(pod.activeDeadlineSeconds).toBeLessThan(job.spec.activeDeadlineSeconds);
      const { spec } = renderJob({ ...REQUIRED, migrator: { activeDeadlineSeconds: 3600 } });
      expect([spec.activeDeadlineSeconds, spec.template.spec.activeDeadlineSeconds]).toEqual([3600, 3580]);
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
      expect(container.args).toEqual(['migrate', '--lock-timeout', '1m', '--connect-timeout', '30s', '--json']);
      expect(envOf(container)).toEqual({
        POSTGRES_HOST: 'db.example',
        POSTGRES_PORT: '5432',
        POSTGRES_DB: 'kasm',
        POSTGRES_USER: 'kasmapp',
        POSTGRES_PASSWORD_FILE: '/etc/kasm-db/database/password',
        PGSSLMODE: 'require',
        KASM_DB_TERMINATION_LOG: container.terminationMessagePath,
        KASM_DB_HINTS: 'chart',
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
        existingSecret: 'kasm-pg-app',
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
      image: { digest, tag: 'not-this-one' },
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
    expect(containers[0].args.slice(0, 2)).toEqual(['migrate', '--seed']);
    expect(containers[0].volumeMounts).toContainEqual({
      name: 'kasm-db-secrets',
      mountPath: directory,
      readOnly: true,
    });
    const { projected } = volumes.find((volume: Manifest) => volume.name === 'kasm-db-secrets');
    expect(projected.defaultMode).toBe(0o440);
    expect(projected.sources.map(({ secret }: Manifest) => [secret.name, secret.optional, ...secret.items])).toEqual([
      ['mine', true, { key: 'admin-password', path: 'admin-password' }],
      ['mine', true, { key: 'manager-token', path: 'manager-token' }],
      ['mine', true, { key: 'registration-token', path: 'service-token' }],
      ['mine', true, { key: 'user-password', path: 'user-password' }],
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
        'a label by which things are found',
        { ...REQUIRED, migrator: { podLabels: { 'app.kubernetes.io/component': 'x' } } },
        /migrator\.podLabels: app\.kubernetes\.io\/component is set by the chart/,
      ],
      [
        'a variable that is no text',
        { ...REQUIRED, migrator: { extraEnv: [{ name: 'A', value: 1 }] } },
        /'\/migrator\/extraEnv\/0\/value': got number, want string/,
      ],
      ['a URL for a registry', { ...REQUIRED, global: { imageRegistry: 'https://a' } }, /does not match pattern/],
      ['two ports of a Sentinel', { ...REQUIRED, redis: { sentinels: ['a:1:2'] } }, /does not match pattern/],
      [
        'no Secret, with the command that makes one',
        { database: { host: 'db' } },
        /kubectl -n kasm-helm create secret generic kasm-credentials --from-file=db-password=/,
      ],
      [
        'a seed without its Secret',
        { database: { host: 'db', existingSecret: 'pg' }, seed: { enabled: true } },
        /create secret generic kasm-credentials --from-literal=admin-password="\$\(openssl rand -hex 16\)" --from-literal=manager-token=/,
      ],
      [
        'two CAs',
        { ...REQUIRED, database: { host: 'db', ca: { existingSecret: 'a', existingConfigMap: 'b' } } },
        /set one of database\.ca/,
      ],
      [
        'verify-ca without a CA',
        { ...REQUIRED, database: { host: 'db', sslmode: 'verify-ca' } },
        /verify-ca needs database\.ca/,
      ],
      [
        'force without a rotation',
        { ...REQUIRED, seed: { enabled: true, force: true } },
        /seed\.force needs seed\.rotate/,
      ],
      ['rotation without a seed', { ...REQUIRED, seed: { rotate: ['all'] } }, /seed\.rotate needs seed\.enabled/],
      [
        'a Secret for a credential that nobody knows',
        { ...REQUIRED, credentials: { existingSecret: 'a', otherSecrets: { admin: 'b' } } },
        /otherSecrets\.admin is not a name in credentials\.keys \(adminPassword, /,
      ],
      [
        'a bootstrap without its login',
        { ...REQUIRED, bootstrap: { enabled: true } },
        /create secret generic kasm-database-admin/,
      ],
      [
        'a gate login without its password',
        { ...REQUIRED, gate: { user: 'g' } },
        /gate\.user needs gate\.existingSecret/,
      ],
      ['two kinds of Redis', { ...REQUIRED, redis: { host: 'a', cluster: ['b'] } }, /set one of redis/],
      [
        'a password in a direct URL',
        { ...REQUIRED, database: { host: 'db', directUrl: { url: 'postgres://u:p@db/k' } } },
        /does not match pattern/,
      ],
      ['a port beside the host', { ...REQUIRED, database: { host: 'db:5433' } }, /the port is set by database\.port/],
      ['brackets', { ...REQUIRED, database: { host: 'a,[fd00::1]' } }, /\[fd00::1\].* stands without brackets/],
      ['port 0', { ...REQUIRED, database: { host: 'db', port: 0 } }, /minimum: got 0, want 1/],
      ['a tag in the repository', { ...REQUIRED, image: { repository: 'r:5000/k:1' } }, /the tag is set by image\.tag/],
      [
        'a wait for locks that the Job cuts off',
        withMode('hook', { migrator: { lockTimeout: '4m' } }),
        /migrator\.lockTimeout \(4m\) must be shorter than migrator\.activeDeadlineSeconds less 20 \(220 s\)/,
      ],
      ['a value left empty', { ...REQUIRED, redis: null }, /missing property 'redis'/],
      ['a lock timeout without a unit', { ...REQUIRED, migrator: { lockTimeout: '60' } }, /does not match pattern/],
    ])('%s', (_, values, message) => {
      expect(refusal(values)).toMatch(message);
    });
  });

  it('waits for locks no longer than the Job may run', () => {
    const { migrator } = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'));
    expect(migrator.lockTimeout).toBe('1m');
    expect(60).toBeLessThan(migrator.activeDeadlineSeconds);
    // The default of `migrate --lock-timeout` would be longer than the Job.
    for (const mode of ['hook', 'job']) {
      expect(renderJob(withMode(mode)).spec.template.spec.containers[0].args).toContain('--lock-timeout');
    }
  });

  it('ends sessions that are in the way only where it is told to, in any way to migrate', () => {
    const argsOf = (values: object) => renderJob(values).spec.template.spec.containers[0].args;
    expect(argsOf(REQUIRED)).not.toContain('--cancel-blockers');
    for (const mode of ['hook', 'job']) {
      const args = argsOf(withMode(mode, { migrator: { cancelBlockers: '10m' } }));
      expect(args[args.indexOf('--cancel-blockers') + 1]).toBe('10m');
    }
    expect(refusal({ ...REQUIRED, migrator: { cancelBlockers: '10 minutes' } })).toMatch(/cancelBlockers/);
  });

  it('gives a database that starts at the same time longer to answer', () => {
    const timeout = (mode: string) => {
      const { args } = renderJob(withMode(mode)).spec.template.spec.containers[0];
      return args[args.indexOf('--connect-timeout') + 1];
    };
    expect([timeout('hook'), timeout('job')]).toEqual(['30s', '3m']);
  });

  it('global.namespace moves everything', () => {
    const values = { ...REQUIRED, global: { namespace: 'elsewhere' }, networkPolicy: { enabled: true } };
    const manifests = render(values);
    expect(manifests.map(({ kind }) => kind).sort()).toEqual(['Job', 'NetworkPolicy', 'Pod']);
    for (const { metadata } of manifests) expect(metadata.namespace).toBe('elsewhere');
    expect(refusal({ database: { host: 'db' }, global: { namespace: 'elsewhere' } })).toMatch(/kubectl -n elsewhere /);
  });

  it('what the hook needs is a hook of lower weight', () => {
    const policy = render({ ...REQUIRED, networkPolicy: { enabled: true } }).find(
      ({ kind }) => kind === 'NetworkPolicy',
    );
    expect(policy.metadata.annotations['helm.sh/hook']).toBe('pre-install,pre-upgrade');
    expect(Number(policy.metadata.annotations['helm.sh/hook-weight'])).toBeLessThan(0);
    expect(
      render(withMode('job', { networkPolicy: { enabled: true } })).find(({ kind }) => kind === 'NetworkPolicy')
        .metadata.annotations,
    ).toBeUndefined();
    expect(policy.spec.egress[1]).toEqual({ ports: [{ port: 5432, protocol: 'TCP' }] });
    // Of what a hook has made Helm takes nothing over, so another mode has another name.
    const manual = render(
      withMode('manual', {
        networkPolicy: { enabled: true },
        onDemand: { enabled: true },
        verify: { schedule: '@daily' },
      }),
    );
    const plain = manual.find(({ kind }) => kind === 'NetworkPolicy');
    expect(plain.metadata.annotations).toBeUndefined();
    expect(plain.metadata.name).not.toBe(policy.metadata.name);
    // It is for every pod of this chart, those of commands too.
    const pods = podsOf([...manual, ...render(REQUIRED)]);
    expect(pods.length).toBeGreaterThan(4);
    for (const { metadata } of pods)
      for (const { spec } of [policy, plain]) expect(metadata.labels).toMatchObject(spec.podSelector.matchLabels);
    expect(render(withMode('manual', { networkPolicy: { enabled: true } }))).toEqual([]);
  });

  it('the NetworkPolicy lets out to every port that is in use, and to no other where all are known', () => {
    const portsOf = (more: object) =>
      render({ ...REQUIRED, networkPolicy: { enabled: true }, ...more })
        .find(({ kind }) => kind === 'NetworkPolicy')
        .spec.egress[1].ports.map(({ port }: Manifest) => port);
    const direct = (url: string) => ({ database: { host: 'db', port: 6432, directUrl: { url } } });
    expect(portsOf({})).toEqual([5432]);
    expect(portsOf(direct('postgres://u@db:5433/kasm'))).toEqual([6432, 5433]);
    expect(portsOf(direct('postgres://u@db/kasm'))).toEqual([6432, 5432]);
    expect(portsOf(direct('postgres://a:5433,[::1]:5434,c?sslmode=require'))).toEqual([6432, 5433, 5434, 5432]);
    expect(portsOf({ redis: { sentinels: ['a:26380', 'b'], master: 'm', port: 6380 } })).toEqual([
      5432, 6380, 26380, 6379,
    ]);
    expect(portsOf({ redis: { cluster: ['a:7000', 'b:7001'] } })).toEqual([5432, 7000, 7001]);
    // The port stands in a Secret: every TCP port.
    for (const keys of [{ port: 'port' }, { uri: 'uri' }])
      expect(portsOf({ database: { host: 'db', existingSecret: 'pg', keys } })).toEqual([undefined]);
    expect(portsOf({ database: { host: 'db', directUrl: { existingSecret: 'direct' } } })).toEqual([undefined]);
  });

  it("verify-full without a CA trusts the system's", () => {
    const { containers, volumes } = renderJob({ ...REQUIRED, database: { host: 'db', sslmode: 'verify-full' } }).spec
      .template.spec;
    expect(envOf(containers[0])).toMatchObject({ PGSSLMODE: 'verify-full', PGSSLROOTCERT: 'system' });
    expect(volumes).toHaveLength(1);
  });

  it('rotates credentials after the migrator, in the same pod', () => {
    const pod = renderJob({ ...REQUIRED, seed: { enabled: true, rotate: ['admin-password', 'manager-token'] } }).spec
      .template.spec;
    expect(pod.initContainers.map(({ name, args }: Manifest) => [name, args[0]])).toEqual([['migrate', 'migrate']]);
    expect(pod.containers.map(({ name, args }: Manifest) => [name, ...args.slice(0, 3)])).toEqual([
      ['rotate', 'seed', '--rotate', 'admin-password,manager-token'],
    ]);
    expect(pod.containers[0].volumeMounts).toEqual(pod.initContainers[0].volumeMounts);
    expect(pod.containers[0].securityContext).toEqual(RESTRICTED);
    expect(pod.containers[0].args).not.toContain('--force');
    const forced = renderJob({ ...REQUIRED, seed: { enabled: true, rotate: ['manager-token'], force: true } }).spec;
    expect(forced.template.spec.containers[0].args.slice(0, 4)).toEqual([
      'seed',
      '--rotate',
      'manager-token',
      '--force',
    ]);
  });

  it('dumps the database before pending migrations, with the same connection', () => {
    const backup = { enabled: true, image: 'postgres:16', existingClaim: 'dumps', keep: 3 };
    const values = { ...REQUIRED, seed: { enabled: true }, migrator: { mode: 'hook', backup } };
    const { initContainers, containers, volumes } = renderJob(values).spec.template.spec;
    expect(initContainers.map(({ name }: Manifest) => name)).toEqual(['status', 'backup']);
    const [status, dump] = initContainers;
    expect(status.args.slice(0, 1)).toEqual(['status']);
    expect(envOf(status).KASM_DB_TERMINATION_LOG).toBe('/var/lib/kasm-db/status.json');
    expect(dump).toMatchObject({ image: 'postgres:16', securityContext: RESTRICTED });
    expect(envOf(dump)).toMatchObject({ POSTGRES_HOST: 'db.example', KEEP: '3', PGSSLMODE: 'require' });
    expect(volumes.find(({ name }: Manifest) => name === 'kasm-db-backup').persistentVolumeClaim.claimName).toBe(
      'dumps',
    );
    // Neither sees what is seeded.
    expect(JSON.stringify(initContainers)).not.toContain('/etc/kasm-db/secrets');
    expect(JSON.stringify(containers)).not.toContain('/backup');
    expect(refusal(withMode('hook', { migrator: { backup: { enabled: true } } }))).toMatch(/migrator\.backup needs/);
    const database = { existingSecret: 'pg', keys: { uri: 'uri' } };
    expect(refusal({ database, migrator: { backup } })).toMatch(/cannot read database\.keys\.uri/);
  });

  describe('the backup, run by a shell with a pg_dump that says how it was called', () => {
    /** @returns what pg_dump was called with, and what is in the folder of dumps afterwards */
    function backUp(more: { database?: object; migrator?: object }, files: Record<string, string> = {}) {
      const root = mkdtempSync(join(tmpdir(), 'kasm-db-backup-'));
      try {
        const put = (path: string, text: string) => {
          mkdirSync(dirname(join(root, path)), { recursive: true });
          writeFileSync(join(root, path), text, { mode: 0o755 });
        };
        put('var/lib/kasm-db/status.json', '{"current":"0001_a","pending":["0002_b"]}');
        put(
          'bin/pg_dump',
          `#!/bin/sh\nfor a in "$@"; do echo "$a"; case $a in --file=*) : > "\${a#--file=}";; esac; done > ${root}/called\necho "PGPASSWORD=$PGPASSWORD" >> ${root}/called\n`,
        );
        for (const [path, text] of Object.entries(files)) put(path, text);
        mkdirSync(join(root, 'backup'), { recursive: true });
        const backup = { enabled: true, image: 'postgres:16', existingClaim: 'dumps', keep: 2 };
        const { database = {}, migrator = {} } = more;
        const [, dump] = renderJob({
          ...REQUIRED,
          database: { ...REQUIRED.database, ...database },
          migrator: { backup, ...migrator },
        }).spec.template.spec.initContainers;
        const script = dump.command[2].replaceAll(
          /(?<=[\s"'])\/(etc\/kasm-db|var\/lib\/kasm-db|backup)\//g,
          `${root}/$1/`,
        );
        const env = { ...envOf(dump), PATH: `${root}/bin:${process.env.PATH}` };
        execFileSync('sh', ['-euc', script], { env });
        return {
          called: readFileSync(join(root, 'called'), 'utf8').replaceAll(root, '').trim().split('\n'),
          dumps: readdirSync(join(root, 'backup')).sort(),
          mounts: dump.volumeMounts.map(({ name }: Manifest) => name),
          env,
        };
      } finally {
        rmSync(root, { recursive: true });
      }
    }
    const password = { 'etc/kasm-db/database/password': 'pa:ss' };

    it('goes around the pooler, as the role, with the settings of the migrator', () => {
      const extraEnv = [{ name: 'PGOPTIONS', value: '-c jit=off' }];
      const mount = { name: 'socket', mountPath: '/s' };
      const url = 'postgres://kasmapp@direct.example:5433/kasm?sslmode=require';
      const { called, env, mounts } = backUp(
        { database: { role: 'owner', directUrl: { url } }, migrator: { extraEnv, extraVolumeMounts: [mount] } },
        password,
      );
      expect(called).toEqual([
        '--format=custom',
        expect.stringMatching(/^--file=\/backup\/kasm-\d{8}T\d{6}Z\.dump\.part$/),
        `--dbname=${url}`,
        '--role=owner',
        'PGPASSWORD=pa:ss',
      ]);
      expect(env).toMatchObject({ PGOPTIONS: '-c jit=off' });
      expect(mounts).toContain('socket');
    });

    it('gives no password as an argument, where the URL of the Secret has one', () => {
      const database = { directUrl: { existingSecret: 'direct' } };
      const { called, mounts } = backUp(
        { database },
        { ...password, 'etc/kasm-db/direct/url': 'postgresql://kasmapp:pa%3Ass@direct.example:5432/kasm\n' },
      );
      expect(called).toContain('--dbname=postgresql://kasmapp@direct.example:5432/kasm');
      expect(called).toContain('PGPASSWORD=pa:ss');
      expect(mounts).toContain('kasm-db-direct');
      expect(backUp({}, password).called).toHaveLength(3);
    });

    it('removes old dumps of its own database, and none of another', () => {
      const old = ['kasm-20200101T000000Z.dump', 'kasm-20200102T000000Z.dump'];
      const others = ['kasm-test-20200101T000000Z.dump', 'kasm-2-20200101T000000Z.dump', 'kasm-by-hand.dump'];
      const files = Object.fromEntries([...old, ...others].map((name) => [`backup/${name}`, '']));
      const { dumps } = backUp({}, { ...password, ...files });
      expect(dumps).toEqual(expect.arrayContaining(others));
      expect(dumps).toHaveLength(others.length + 2);
    });
  });

  it('takes containers of others, those that start first before its own', () => {
    const proxy = { name: 'proxy', image: 'proxy:2', restartPolicy: 'Always' };
    const values = {
      ...REQUIRED,
      seed: { enabled: true, rotate: ['all'] },
      migrator: { extraInitContainers: [proxy], extraContainers: [{ name: 'beside', image: 'b:1' }] },
    };
    const { initContainers, containers } = renderJob(values).spec.template.spec;
    expect(initContainers.map(({ name }: Manifest) => name)).toEqual(['proxy', 'migrate']);
    expect(initContainers[0]).toEqual(proxy);
    expect(containers.map(({ name }: Manifest) => name)).toEqual(['rotate', 'beside']);
  });

  it('runs kasm-db on demand and by a schedule, in pods as restricted as the migrator', () => {
    const values = {
      ...withMode('manual', { seed: { enabled: true } }),
      onDemand: { enabled: true },
      verify: { schedule: '0 3 * * *' },
    };
    const jobs = render(values).filter(({ kind }) => kind === 'CronJob');
    expect(jobs.map(({ metadata, spec }) => [metadata.name, spec.suspend, spec.schedule])).toEqual([
      ['kasmdemo-migrate', true, '0 0 1 1 *'],
      ['kasmdemo-status', true, '0 0 1 1 *'],
      ['kasmdemo-doctor', true, '0 0 1 1 *'],
      ['kasmdemo-verify', false, '0 3 * * *'],
    ]);
    const migrator = renderJob({ ...REQUIRED, seed: { enabled: true } }).spec.template;
    for (const { spec, metadata } of jobs) {
      const { template } = spec.jobTemplate.spec;
      const [container] = template.spec.containers;
      expect(container.securityContext).toEqual(RESTRICTED);
      expect(container.env).toEqual(migrator.spec.containers[0].env);
      // Not the migrator's labels: its Jobs are looked for by them.
      for (const labels of [metadata.labels, template.metadata.labels])
        expect(labels['app.kubernetes.io/component']).toBe('command');
    }
    const args = jobs.map(({ spec }) => spec.jobTemplate.spec.template.spec.containers[0].args);
    expect(args[0].slice(0, 2)).toEqual(['migrate', '--seed']);
    expect(args.slice(1)).toEqual([
      ['status', '--json'],
      ['doctor', '--json'],
      ['verify', '--json'],
    ]);
    const unseeded = render({ ...withMode('manual', { seed: { enabled: false } }), onDemand: { enabled: true } });
    const doctor = unseeded.find(({ metadata }) => metadata.name === 'kasmdemo-doctor');
    expect(doctor?.spec.jobTemplate.spec.template.spec.containers[0].args).toEqual(['doctor', '--json', '--no-seed']);
    const commands = { adopt: ['adopt', '--dry-run'], 'restart-empty-tables': ['repair', '--restart-empty', '--yes'] };
    const own = render({
      ...withMode('manual', { fullnameOverride: 'a'.repeat(40) }),
      onDemand: { enabled: true, commands },
    }).slice(-2);
    expect(own.map(({ spec }) => spec.jobTemplate.spec.template.spec.containers[0].args)).toEqual([
      ['adopt', '--dry-run', '--json'],
      ['repair', '--restart-empty', '--yes', '--json'],
    ]);
    for (const { metadata } of own) expect(metadata.name.length).toBeLessThanOrEqual(52);
    for (const name of ['status', 'UPPER', 'a'.repeat(21)])
      expect(refusal({ ...REQUIRED, onDemand: { enabled: true, commands: { [name]: ['adopt'] } } })).toContain(name);
    for (const schedule of ['@daily', '@midnight', '@every 6h', '0 3 ? * MON-FRI'])
      expect(render({ ...REQUIRED, verify: { schedule } }).map(({ kind }) => kind)).toContain('CronJob');
    for (const schedule of ['@never', '0 3 * *', 'TZ=UTC 0 3 * * *'])
      expect(refusal({ ...REQUIRED, verify: { schedule } })).toContain('schedule');
  });

  it('reads a Secret of a database operator key by key', () => {
    const [byUri, apart] = [
      { uri: 'uri' },
      { password: 'pass', host: 'endpoint', port: 'port', name: 'dbname', user: 'login' },
    ].map((keys) => renderJob({ database: { existingSecret: 'pg-app', keys } }).spec.template.spec);
    expect(envOf(byUri.containers[0])).toEqual({
      KASM_DB_URL_FILE: '/etc/kasm-db/database/uri',
      PGSSLMODE: 'require',
      KASM_DB_TERMINATION_LOG: '/dev/termination-log',
      KASM_DB_HINTS: 'chart',
    });
    expect(Object.keys(envOf(apart.containers[0])).filter((name) => name.endsWith('_FILE'))).toEqual([
      'POSTGRES_HOST_FILE',
      'POSTGRES_PORT_FILE',
      'POSTGRES_DB_FILE',
      'POSTGRES_USER_FILE',
      'POSTGRES_PASSWORD_FILE',
    ]);
    expect(apart.volumes[0].secret.items).toEqual([
      { key: 'pass', path: 'password' },
      { key: 'endpoint', path: 'host' },
      { key: 'port', path: 'port' },
      { key: 'dbname', path: 'name' },
      { key: 'login', path: 'user' },
    ]);
  });

  describe('Secrets as operators write them, in ci/', () => {
    /** What becomes of each key: Secret/key → file in /etc/kasm-db. */
    const CASES: Record<string, Record<string, string>> = {
      cloudnativepg: {
        'kasm-pg-app/uri': 'database/uri',
        'kasm-pg-app/password': 'database/password',
        'kasm-pg-ca/ca.crt': 'ca/ca.crt',
      },
      crunchy: {
        'hippo-pguser-kasmapp/pgbouncer-host': 'database/host',
        'hippo-pguser-kasmapp/pgbouncer-port': 'database/port',
        'hippo-pguser-kasmapp/dbname': 'database/name',
        'hippo-pguser-kasmapp/user': 'database/user',
        'hippo-pguser-kasmapp/password': 'database/password',
        'hippo-pguser-kasmapp/uri': 'direct/url',
        'hippo-cluster-cert/ca.crt': 'ca/ca.crt',
      },
      zalando: {
        'kasmapp.kasm-pg.credentials.postgresql.acid.zalan.do/username': 'database/user',
        'kasmapp.kasm-pg.credentials.postgresql.acid.zalan.do/password': 'database/password',
      },
      'external-secrets': {
        'kasm-database/host': 'database/host',
        'kasm-database/dbname': 'database/name',
        'kasm-database/username': 'database/user',
        'kasm-database/password': 'database/password',
        'kasm-database-ca/tls-ca.pem': 'ca/ca.crt',
      },
    };
    it.each(Object.entries(CASES))('%s: each key becomes the file that kasm-db is told to read', (name, expected) => {
      const values = parse(readFileSync(join(chart, `ci/${name}-values.yaml`), 'utf8'));
      const { containers, volumes } = render(values).find(({ kind }) => kind === 'Job').spec.template.spec;
      const folders = Object.fromEntries(
        containers[0].volumeMounts.map((mount: Manifest) => [mount.name, mount.mountPath.replace('/etc/kasm-db/', '')]),
      );
      const files = volumes
        .filter(({ secret }: Manifest) => secret)
        .flatMap(({ name: volume, secret }: Manifest) =>
          secret.items.map(({ key, path }: Manifest) => [`${secret.secretName}/${key}`, `${folders[volume]}/${path}`]),
        );
      expect(Object.fromEntries(files)).toEqual(expected);
      const told = Object.values(envOf(containers[0])).filter((value) => value.startsWith('/etc/kasm-db/'));
      const read = Object.values(expected)
        // The password is in the URI too, for who wants it apart.
        .filter((file) => !(file === 'database/password' && Object.values(expected).includes('database/uri')))
        .map((file) => `/etc/kasm-db/${file}`);
      expect(told.sort()).toEqual([...read, '/etc/kasm-db/secrets'].sort());
    });
  });

  it('bootstraps with the admin login, which no gate sees', () => {
    const values = {
      ...REQUIRED,
      bootstrap: { enabled: true, existingSecret: 'admin', gateRole: 'kasm_gate' },
      gate: { user: 'kasm_gate', existingSecret: 'gate' },
    };
    const pod = renderJob(values).spec.template.spec;
    expect(pod.containers[0].args.slice(0, 4)).toEqual(['migrate', '--bootstrap', '--gate-role', 'kasm_gate']);
    expect(envOf(pod.containers[0])).toMatchObject({
      POSTGRES_USER: 'kasmapp',
      DATABASE_MASTER_USER_FILE: '/etc/kasm-db/admin/user',
      DATABASE_MASTER_PASSWORD_FILE: '/etc/kasm-db/admin/password',
      KASM_DB_GATE_PASSWORD_FILE: '/etc/kasm-db/gate/password',
    });
    const gate = render(values).find(({ kind }) => kind === 'Pod').spec;
    expect(envOf(gate.containers[0])).toMatchObject({ POSTGRES_USER: 'kasm_gate' });
    expect(JSON.stringify(gate)).not.toMatch(/MASTER|"admin"|kasm-credentials/);
  });

  it('takes credentials from several Secrets', () => {
    const { volumes } = renderJob({
      ...REQUIRED,
      seed: { enabled: true },
      credentials: {
        existingSecret: 'mine',
        keys: { adminPassword: 'pw' },
        extra: { 'user-jane-password': 'jane' },
        otherSecrets: { adminPassword: 'kasm-admin', databasePassword: 'pg' },
      },
    }).spec.template.spec;
    const sources = volumes.find(({ name }: Manifest) => name === 'kasm-db-secrets').projected.sources;
    expect(
      sources.map(({ secret }: Manifest) => `${secret.name}/${secret.items[0].key}=${secret.items[0].path}`),
    ).toEqual([
      'kasm-admin/pw=admin-password',
      'mine/manager-token=manager-token',
      'mine/service-token=service-token',
      'mine/jane=user-jane-password',
      'mine/user-password=user-password',
    ]);
    expect(volumes[0].secret.secretName).toBe('pg');
  });

  it('a label or variable that is given twice is there once, and the nearer one counts', () => {
    const pod = renderJob({
      ...REQUIRED,
      labels: { team: 'all', tier: 'db' },
      migrator: {
        podLabels: { team: 'ours' },
        extraEnv: [
          { name: 'PGSSLMODE', value: 'prefer' },
          { name: 'PGOPTIONS', value: '-c geqo=off' },
        ],
      },
    }).spec.template;
    expect(pod.metadata.labels).toMatchObject({ team: 'ours', tier: 'db' });
    expect(envOf(pod.spec.containers[0])).toMatchObject({ PGSSLMODE: 'prefer', PGOPTIONS: '-c geqo=off' });
    const names = pod.spec.containers[0].env.map(({ name }: Manifest) => name);
    expect(names).toEqual([...new Set(names)]);
  });

  it('takes every quantity that Kubernetes takes, and no other', () => {
    const limits = (cpu: unknown) => ({ ...REQUIRED, migrator: { resources: { limits: { cpu } } } });
    for (const cpu of [1, 0.5, '100m', '.5', '1.', '1e3', '2E+2', '500u', '1Ki', '1.5Gi']) renderJob(limits(cpu));
    for (const cpu of ['', '1 Gi', '1gb', '-1', 'e3', '1e', '.']) expect(refusal(limits(cpu)), cpu).toMatch(/limits/);
  });

  it('text is what it says: Kubernetes puts no other variable into it, and takes no $ from it', () => {
    const pod = renderJob({
      ...REQUIRED,
      database: { host: 'db', name: 'a$$b', user: '$(POSTGRES_HOST)', role: 'r$(X)' },
      bootstrap: { enabled: true, existingSecret: 'admin', gateRole: 'g$$' },
      gate: { user: 'g$$', existingSecret: 'gate' },
      migrator: { extraEnv: [{ name: 'PGOPTIONS', value: '$(POSTGRES_DB)' }] },
    }).spec.template.spec.containers[0];
    expect(pod.args).toContain('g$$$$');
    expect(envOf(pod)).toMatchObject({
      POSTGRES_DB: 'a$$$$b',
      POSTGRES_USER: '$$(POSTGRES_HOST)',
      KASM_DB_ROLE: 'r$$(X)',
    });
    // As in a container: whoever writes it means it.
    expect(envOf(pod)).toMatchObject({ PGOPTIONS: '$(POSTGRES_DB)' });
  });

  it("leaves user and group to OpenShift's range", () => {
    const pod = renderJob({ ...REQUIRED, security: { runAsUser: null, runAsGroup: null, fsGroup: null } }).spec.template
      .spec;
    const { runAsUser: _u, runAsGroup: _g, ...rest } = RESTRICTED;
    expect(pod.containers[0].securityContext).toEqual(rest);
    expect(pod.securityContext.fsGroup).toBeUndefined();
  });

  it('helm test asks the database, with the login of the gates', () => {
    const pod = render({ ...REQUIRED, seed: { enabled: true } }).find(({ kind }) => kind === 'Pod');
    expect(pod.metadata.annotations['helm.sh/hook']).toBe('test');
    expect(pod.metadata.annotations['helm.sh/hook-output-log-policy']).toBe('hook-failed');
    expect(pod.spec.containers[0].args).toEqual(['check', '--seed', '--json']);
    expect(pod.spec.containers[0].securityContext).toEqual(RESTRICTED);
  });

  describe('the gate, in the pod of a parent chart', () => {
    let parent = '';

    beforeAll(() => {
      parent = mkdtempSync(join(tmpdir(), 'kasm-db-chart-'));
      mkdirSync(join(parent, 'templates'));
      writeFileSync(
        join(parent, 'Chart.yaml'),
        `apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies: [{name: kasm-db, version: ${VERSION}, condition: kasm-db.enabled}]\n`,
      );
      writeFileSync(
        join(parent, 'templates/api.yaml'),
        `kind: Pod
spec:
  why: {{- include "kasm-db.whyCommands" (index .Subcharts "kasm-db") | splitList "\\n" | toYaml | nindent 4 }}
  initContainers:
    {{- include "kasm-db.gate" . | nindent 4 }}
    {{- include "kasm-db.waitFor" (list . "wait-for-it" "http://it:80/") | nindent 4 }}
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
      expect(initContainers).toHaveLength(2);
      const { why } = renderPod({ enabled: true, ...REQUIRED }).spec;
      expect(why.map((line: string) => /kubectl [a-z]+( pods| events)?/.exec(line)?.[0]).filter(Boolean)).toEqual([
        'kubectl logs',
        'kubectl get pods',
        'kubectl get events',
      ]);
      expect(initContainers[1]).toMatchObject({ name: 'wait-for-it', image: `kasm-db:${VERSION}` });
      expect(initContainers[1].args).toEqual(['wait-for', 'http://it:80/', '--timeout', '10m']);
      expect(initContainers[0]).toMatchObject({ name: 'kasm-db-gate', image: `kasm-db:${VERSION}` });
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
