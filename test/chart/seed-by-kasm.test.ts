/** seed.by kasm in both charts: kasm-db migrates, and Kasm's own API image writes the default rows, once. */
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/command-line.js';
import { parse } from '../../src/cli/parse.js';
import { chartFolder, hasHelm, type Manifest, manifestsIn, notRestricted, refusal, renderText } from './helm.js';

const BY_KASM = { enabled: true, by: 'kasm' };
const EXTERNAL = { database: { host: 'db.example' }, credentials: { existingSecret: 'mine' } };

function jobOf(chart: string, values: object, args: string[] = []): Manifest {
  const manifests = manifestsIn(renderText(values, { path: chartFolder(chart), args }));
  return manifests.find(({ kind, metadata }) => kind === 'Job' && metadata.name.includes('-migrate'));
}

const podOf = (chart: string, values: object, args?: string[]): Manifest =>
  jobOf(chart, values, args).spec.template.spec;
const names = (list: Manifest[]) => list.map(({ name }) => name);
const secretOf = (container: Manifest, variable: string) =>
  container.env.find(({ name }: Manifest) => name === variable)?.valueFrom?.secretKeyRef;

describe.skipIf(!hasHelm)('seed.by kasm', () => {
  const cases: [string, string, object, boolean][] = [
    ['chart kasm-db, hook', 'kasm-db', { ...EXTERNAL, seed: BY_KASM }, true],
    ['chart kasm-db, job', 'kasm-db', { ...EXTERNAL, migrator: { mode: 'job' }, seed: BY_KASM }, false],
    [
      'chart kasm-single-zone, bundled',
      'kasm-single-zone',
      { host: 'k.example', credentials: { existingSecret: 'mine' }, 'kasm-db': { seed: BY_KASM } },
      false,
    ],
    [
      'chart kasm-single-zone, external',
      'kasm-single-zone',
      {
        host: 'k.example',
        credentials: { existingSecret: 'mine' },
        database: { bundled: false, host: 'db.example' },
        'kasm-db': { seed: BY_KASM },
      },
      true,
    ],
  ];

  it.each(
    cases,
  )('%s: kasm-db migrates, its executable is brought, Kasm’s image runs by it', (_, chart, values, hook) => {
    const { metadata } = jobOf(chart, values);
    expect('helm.sh/hook' in (metadata.annotations ?? {})).toBe(hook);
    const pod = podOf(chart, values);
    expect(names(pod.initContainers)).toEqual(['migrate', 'install']);
    expect(names(pod.containers)).toEqual(['kasm-seed']);
    const [migrate, install] = pod.initContainers;
    expect(migrate.args).toContain('migrate');
    expect(migrate.args).not.toContain('--seed');
    expect(install.args).toEqual(['install-to', '/opt/kasm-db']);
    const [seed] = pod.containers;
    expect(seed.image).toMatch(/^(docker\.io\/)?kasmweb\/api:1\.19\.0$/);
    expect(seed.command).toEqual(['/opt/kasm-db/kasm-db']);
    expect(seed.args.slice(0, 3)).toEqual(['once', 'kasm-seed', '--seeds-database']);
    expect(seed.args.slice(seed.args.indexOf('--') + 1)).toEqual([
      '/usr/bin/kasm_server.so',
      '--initialize-database',
      '--cfg',
      '/opt/kasm/current/conf/app/api.app.config.yaml',
      '--seed-file',
      '/opt/kasm/current/conf/database/seed_data/default_properties.yaml',
      '--populate-production',
    ]);
    expect(seed.securityContext).toMatchObject({ runAsUser: 1000, readOnlyRootFilesystem: true });
    expect(notRestricted({ spec: pod })).toEqual([]);
    expect(seed.volumeMounts).toEqual(
      expect.arrayContaining([
        { name: 'kasm-db-program', mountPath: '/opt/kasm-db', readOnly: true },
        { name: 'kasm-seed-tmp', mountPath: '/tmp' },
      ]),
    );
    expect(secretOf(seed, 'POSTGRES_PASSWORD')).toEqual({ name: 'mine', key: 'db-password' });
    for (const [variable, key] of Object.entries({
      DEFAULT_ADMIN_PASSWORD: 'admin-password',
      DEFAULT_USER_PASSWORD: 'user-password',
      DEFAULT_MANAGER_TOKEN: 'manager-token',
      DEFAULT_REGISTRATION_TOKEN: 'service-token',
    }))
      expect(secretOf(seed, variable)).toEqual({ name: 'mine', key });
  });

  it('the arguments are a call that the command line takes', () => {
    expect(COMMANDS.map(({ name }) => name)).toEqual(expect.arrayContaining(['once', 'install-to']));
    const [seed] = podOf('kasm-db', { ...EXTERNAL, seed: BY_KASM }).containers;
    expect(parse(seed.args)).toMatchObject({ command: 'once', options: { seedsDatabase: true, json: true } });
    expect(parse(seed.args).refusal).toBeUndefined();
  });

  it('what Kasm’s program fails with is tried again, what kasm-db refuses is not', () => {
    const { rules } = jobOf('kasm-db', { ...EXTERNAL, seed: BY_KASM }).spec.podFailurePolicy;
    expect(rules.slice(1)).toEqual([
      { action: 'Count', onExitCodes: { containerName: 'kasm-seed', operator: 'In', values: [7] } },
      { action: 'FailJob', onExitCodes: { operator: 'In', values: [1, 2, 6, 7, 8, 9] } },
    ]);
  });

  it('the command, the image and the seed files are values; the files stand where the image has its own', () => {
    const seed = {
      ...BY_KASM,
      existingConfigMap: 'files',
      kasm: { image: 'registry.example/api:x', command: ['/bin/seed', '--all'], extraEnv: [{ name: 'A', value: 'b' }] },
    };
    const pod = podOf('kasm-db', { ...EXTERNAL, seed });
    const [container] = pod.containers;
    expect(container.image).toBe('registry.example/api:x');
    expect(container.args.slice(container.args.indexOf('--'))).toEqual(['--', '/bin/seed', '--all']);
    expect(container.args).not.toContain('--seeds');
    expect(container.env).toContainEqual({ name: 'A', value: 'b' });
    expect(container.volumeMounts).toContainEqual({
      name: 'kasm-db-seeds',
      mountPath: '/opt/kasm/current/conf/database/seed_data',
      readOnly: true,
    });
    expect(pod.volumes).toContainEqual({ name: 'kasm-db-seeds', configMap: { name: 'files' } });
  });

  it('gates ask whether it is seeded, whatever the documents are', () => {
    const values = {
      host: 'k.example',
      credentials: { existingSecret: 'mine' },
      'kasm-db': { seed: { ...BY_KASM, existingSecret: 'files' } },
    };
    const text = renderText(values, { path: chartFolder('kasm-single-zone') });
    const api = manifestsIn(text).find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'kasm-api');
    const [gate] = api.spec.template.spec.initContainers;
    expect(gate.args).toEqual(['check', '--seed', '--wait', '10m']);
    expect(names(api.spec.template.spec.volumes)).not.toContain('kasm-db-seeds');
  });

  it('on demand, migrate is followed by Kasm’s program, and the other commands are not', () => {
    const values = { ...EXTERNAL, migrator: { mode: 'manual' }, onDemand: { enabled: true }, seed: BY_KASM };
    const jobs = manifestsIn(renderText(values, { path: chartFolder('kasm-db') }));
    const [migrate, ...others] = jobs.map(({ spec }) => spec.jobTemplate.spec.template.spec);
    const migrator = podOf('kasm-db', { ...EXTERNAL, seed: BY_KASM });
    expect(names(migrate.initContainers)).toEqual(['migrate', 'install']);
    expect(migrate.containers).toEqual(migrator.containers);
    expect(migrate.volumes).toEqual(migrator.volumes);
    for (const { containers, initContainers, volumes } of others) {
      expect(containers).toHaveLength(1);
      expect(initContainers).toBeUndefined();
      expect(names(volumes)).not.toContain('kasm-db-program');
    }
    expect(refusal({ ...values, database: { host: 'db', role: 'owner' } }, chartFolder('kasm-db'))).toMatch(
      /cannot take on database\.role/,
    );
  });

  it('a credential without a key is not read', () => {
    const credentials = { existingSecret: 'mine', keys: { adminPassword: '' } };
    const [seed] = podOf('kasm-db', { ...EXTERNAL, credentials, seed: BY_KASM }).containers;
    expect(names(seed.env)).not.toContain('DEFAULT_ADMIN_PASSWORD');
    expect(secretOf(seed, 'DEFAULT_USER_PASSWORD')).toEqual({ name: 'mine', key: 'user-password' });
  });

  it('the login comes from the keys of an operator’s Secret, the way around a pooler too', () => {
    const pod = podOf('kasm-db', {
      credentials: { existingSecret: 'mine' },
      database: {
        existingSecret: 'pg',
        keys: { host: 'host', port: 'port', name: 'dbname', user: 'user', password: 'password' },
        directUrl: { existingSecret: 'pg', key: 'direct' },
      },
      seed: BY_KASM,
    });
    const [seed] = pod.containers;
    expect(secretOf(seed, 'POSTGRES_HOST')).toEqual({ name: 'pg', key: 'host' });
    expect(secretOf(seed, 'POSTGRES_DB')).toEqual({ name: 'pg', key: 'dbname' });
    expect(seed.env).toContainEqual({ name: 'KASM_DB_DIRECT_URL_FILE', value: '/etc/kasm-db/direct/url' });
    expect(seed.volumeMounts).toContainEqual({
      name: 'kasm-db-direct',
      mountPath: '/etc/kasm-db/direct',
      readOnly: true,
    });
  });

  it.each<[string, object, RegExp]>([
    [
      'rotation',
      { ...EXTERNAL, seed: { ...BY_KASM, rotate: ['all'] } },
      /seed\.rotate is for what kasm-db has written/,
    ],
    [
      'a URL of an operator',
      {
        credentials: { existingSecret: 'mine' },
        database: { existingSecret: 'pg', keys: { uri: 'uri' } },
        seed: BY_KASM,
      },
      /seed\.by kasm cannot read database\.keys\.uri/,
    ],
    [
      'a role to take on',
      { ...EXTERNAL, database: { host: 'db', role: 'owner' }, seed: BY_KASM },
      /seed\.by kasm cannot take on database\.role/,
    ],
    ['somebody else', { ...EXTERNAL, seed: { enabled: true, by: 'me' } }, /must be one of/],
    ['an odd image', { ...EXTERNAL, seed: { ...BY_KASM, kasm: { image: 'a b' } } }, /does not match pattern/],
    ['no command', { ...EXTERNAL, seed: { ...BY_KASM, kasm: { command: [] } } }, /minItems/],
  ])('refuses %s', (_, values, message) => {
    expect(refusal(values, chartFolder('kasm-db'))).toMatch(message);
  });
});
