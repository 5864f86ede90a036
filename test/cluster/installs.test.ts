/** First installs in a row, installs that fail and what then is said, and what was lost in between: with Helm 3 and 4. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  apply,
  type Ended,
  EXTERNAL_HOST,
  kubectl,
  MIGRATOR,
  migratorResults,
  must,
  pods,
  psqlExternal,
  readyPods,
  run,
  secret,
  until,
  WITHOUT_GATEWAYS,
} from './cluster.js';
import { aroundAll, HELMS, printed, Release, rows, SCHEMA, SECRETS, seconds } from './release.js';

/** Show: 20. */
const ROUNDS = Number(process.env.KASM_TEST_ROUNDS ?? 2);

aroundAll();

const tell = (kind: string, program: string, what: string, ended: string, time: string) => {
  rows.push([kind, '(none)', program, what, ended, time]);
  console.log(rows.at(-1)?.join('  '));
};

/** What the commands in NOTES print, for a release whose installation failed. */
async function whyItFailed(release: Release): Promise<string> {
  const notes = await must('helm', ['get', 'notes', 'kasmdemo', '-n', release.ns]);
  const commands = notes
    .split('\n')
    .filter((line) => /^\s*kubectl (logs|get pods|get events) /.test(line) && !/deploy\//.test(line));
  expect(commands, notes).toHaveLength(3);
  const said = commands.map((command) => {
    const { stdout, stderr } = spawnSync('sh', ['-c', command.trim()], { encoding: 'utf8' });
    return stdout + stderr;
  });
  printed.push(...said, notes);
  return said.join('\n');
}

/** A pod that restores the newest dump, as an operator would run one. */
const restorePod = (namespace: string, database: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'restore', namespace },
  spec: {
    restartPolicy: 'Never',
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      fsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [
      {
        name: 'restore',
        image: 'kasm-test/standin:1',
        command: [
          ...['sh', '-ec'],
          `pg_restore --no-owner --exit-on-error --single-transaction -d ${database} "$(ls -1t /backup/*.dump | head -n 1)"`,
        ],
        env: [
          { name: 'PGHOST', value: EXTERNAL_HOST },
          { name: 'PGUSER', value: database },
          { name: 'PGPASSWORD', valueFrom: { secretKeyRef: { name: 'kasm-credentials', key: 'db-password' } } },
        ],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        volumeMounts: [{ name: 'dumps', mountPath: '/backup', readOnly: true }],
      },
    ],
    volumes: [{ name: 'dumps', persistentVolumeClaim: { claimName: 'dumps' } }],
  },
});

describe.each(HELMS)('%s', (program) => {
  describe.concurrent('first installs in a row, with all that waits for the API', () => {
    const TAGS = (process.env.KASM_TEST_TAGS ?? '0.1.0,0.2.0-slow').split(',');
    const cases = TAGS.flatMap((tag) => Array.from({ length: ROUNDS }, (_, i) => [tag, i + 1] as const));
    it.each(cases)('of %s, number %d', async (tag, number) => {
      const name = `kasm-test-first-${program}-${TAGS.indexOf(tag)}-${number}`;
      const release = await Release.in(name, 'bundled', {}, [], program);
      const migrations = tag.startsWith('0.2.0') ? SCHEMA + 1 : SCHEMA;
      await release.step(`first install of ${tag}, number ${number}`, () => release.install(tag), { migrations, tag });
      for (const name of ['kasm-guac', 'rdp-gateway', 'rdp-https-gateway']) {
        const [pod] = await readyPods(release.ns, name);
        expect(
          pod?.status.containerStatuses?.map(({ restartCount }) => restartCount),
          name,
        ).toEqual([0, 0]);
      }
      await release.remove();
    });
  });

  it('a failed install is repaired by the same command, and what follows is a no-op', async () => {
    // Whether a credential is there is looked up beforehand, unless that is turned off.
    const values = {
      ...WITHOUT_GATEWAYS,
      credentials: { existingSecret: 'mine' },
      'kasm-db': { lookupReferences: false },
    };
    const release = await Release.in(`kasm-test-repair-${program}`, 'bundled', values, [], program);
    const { 'admin-password': _, ...incomplete } = SECRETS;
    await secret(release.ns, 'mine', incomplete);
    const failed = await release.install('0.1.0', {}, '90s');
    expect(failed.code, failed.stdout).not.toBe(0);
    expect((await migratorResults(release.ns)).at(-1)).toMatchObject({ outcome: 'seed', exitCode: 8 });
    expect(await whyItFailed(release)).toMatch(/admin-password/);
    tell('bundled', program, 'install without admin-password', 'failed, with the reason', seconds(failed));

    await secret(release.ns, 'mine', SECRETS);
    await release.step('the same command, with the key', () => release.install('0.1.0'), {
      migrations: SCHEMA,
      tag: '0.1.0',
    });
    const before = (await pods(release.ns, 'app.kubernetes.io/name=kasm-api')).map(({ metadata }) => metadata.name);
    await release.step('helm upgrade after it', () => release.upgrade('0.1.0'), { migrations: SCHEMA, tag: '0.1.0' });
    // `--wait` is for what serves: the pods are ready as they were, and the Job may go on.
    const last = await until("the result of the upgrade's Job", 60, async () => {
      const result = (await migratorResults(release.ns)).at(-1);
      return result?.outcome === 'ok' && result;
    });
    expect(last).toMatchObject({ outcome: 'ok', applied: [] });
    expect((await pods(release.ns, 'app.kubernetes.io/name=kasm-api')).map(({ metadata }) => metadata.name)).toEqual(
      before,
    );
    await release.remove();
  });

  it('helm template and kubectl apply, twice: the second changes nothing', async () => {
    const values = { ...WITHOUT_GATEWAYS, credentials: { existingSecret: 'mine' } };
    const release = await Release.in(`kasm-test-apply-${program}`, 'bundled', values, [], program);
    await secret(release.ns, 'mine', SECRETS);
    const applyAll = async () => {
      const text = await release.template('0.1.0');
      return run('kubectl', ['apply', '-f', '-'], { input: text });
    };
    expect((await applyAll()).code).toBe(0);
    await release.holds(SCHEMA, '0.1.0', 'after the first apply', 240);
    // `kubectl apply` says "configured" of what it sends anew, changed or not; the generation tells.
    const all = () =>
      kubectl(
        '-n',
        release.ns,
        'get',
        'deployments,statefulsets,jobs',
        '-o',
        'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.metadata.uid}\n{end}',
      );
    const before = await all();
    const again = await applyAll();
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).toMatch(/^job\.batch\/kasmdemo-migrate-1-[0-9a-f]{8} unchanged$/m);
    expect(await all()).toBe(before);
    await release.remove();
  });

  it('a lost Secret stops the upgrade with what to do, and is restored', async () => {
    const release = await Release.in(`kasm-test-lost-${program}`, 'bundled', WITHOUT_GATEWAYS, [], program);
    await release.step('install', () => release.install('0.1.0'), { migrations: SCHEMA, tag: '0.1.0' });
    const kept = await kubectl('-n', release.ns, 'get', 'secret', 'kasmdemo-credentials', '-o', 'json');
    await kubectl('-n', release.ns, 'delete', 'secret', 'kasmdemo-credentials');
    const refused = await release.upgrade('0.1.0');
    expect(refused.code, refused.stdout).not.toBe(0);
    expect(refused.stderr).toMatch(
      /Secret kasmdemo-credentials in namespace .* is missing, .*the volume data-db-0 was kept[\s\S]*makeAgain/,
    );
    tell('bundled', program, 'upgrade after the Secret was lost', 'refused', seconds(refused));
    const { metadata, ...rest } = JSON.parse(kept);
    await apply({ ...rest, metadata: { name: metadata.name, namespace: release.ns, labels: metadata.labels } });
    await release.step('upgrade with the Secret restored', () => release.upgrade('0.1.0'), {
      migrations: SCHEMA,
      tag: '0.1.0',
    });

    // Uninstalled, and the Secret gone while the volume stays.
    await release.helm('uninstall', ['kasmdemo', '--wait']);
    await kubectl('-n', release.ns, 'delete', 'secret', 'kasmdemo-credentials');
    const beside = await release.install('0.1.0');
    expect(beside.code).not.toBe(0);
    expect(beside.stderr).toMatch(/the volume data-db-0 was kept/);
    tell('bundled', program, 'install beside a kept volume, Secret lost', 'refused', seconds(beside));
    await release.remove();
  });

  it('trap 56: an upgrade finds a new, empty database and leaves it alone; one after a failed first install goes on', async () => {
    const release = await Release.in(`kasm-test-empty-${program}`, 'external', WITHOUT_GATEWAYS, [], program);
    const database = release.ns.replaceAll('-', '_');
    await secret(release.ns, 'kasm-credentials', { ...SECRETS, 'db-password': 's3cr3t-wrong' });
    const quick = { 'kasm-db': { migrator: { connectTimeout: '2s', backoffLimit: 0 } } };
    expect((await release.install('0.1.0', quick)).code).not.toBe(0);
    await secret(release.ns, 'kasm-credentials', SECRETS);
    await release.step('helm upgrade after a failed first install', () => release.upgrade('0.1.0'), {
      migrations: SCHEMA,
      tag: '0.1.0',
    });

    await psqlExternal(`DROP DATABASE ${database} WITH (FORCE)`);
    await psqlExternal(`CREATE DATABASE ${database} OWNER ${database}`);
    const refused = await release.upgrade('0.2.0');
    expect(refused.code, refused.stdout).not.toBe(0);
    expect(refused.stdout + refused.stderr).toMatch(/this is an upgrade[\s\S]*is the backup restored yet/);
    expect((await migratorResults(release.ns)).at(-1)).toMatchObject({ outcome: 'integrity', exitCode: 6 });
    expect(await release.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'kasm_db'")).toBe('0');
    expect(await release.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).toBe('0');
    tell('external', program, 'upgrade on an empty database', 'refused, nothing made', seconds(refused));
    await release.remove();
  });

  it('a backup before pending migrations, and back to it', async () => {
    const release = await Release.in(`kasm-test-backup-${program}`, 'external', WITHOUT_GATEWAYS, [], program);
    const database = release.ns.replaceAll('-', '_');
    await apply({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'dumps', namespace: release.ns },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '100Mi' } } },
    });
    const backup = { enabled: true, image: 'kasm-test/standin:1', existingClaim: 'dumps' };
    const more = { 'kasm-db': { migrator: { backup } } };
    await release.step('install: nothing to dump yet', () => release.install('0.1.0', more), {
      migrations: SCHEMA,
      tag: '0.1.0',
    });
    await release.sql(`SET ROLE ${database}; CREATE TABLE kept AS SELECT 'before'::text AS what`);
    await release.step('upgrade with a backup', () => release.upgrade('0.2.0', more), {
      migrations: SCHEMA + 1,
      tag: '0.2.0',
    });
    await release.sql("UPDATE kept SET what = 'after'");

    // As docs/HELM.md says: everything to 0, the dump restored by the owner, and the version of that day.
    await kubectl('-n', release.ns, 'scale', 'deployment/kasm-api', 'deployment/kasm-manager', '--replicas=0');
    await psqlExternal(`DROP DATABASE ${database} WITH (FORCE)`);
    await psqlExternal(`CREATE DATABASE ${database} OWNER ${database}`);
    await apply(restorePod(release.ns, database));
    await until('the restore', 120, async () => {
      const phase = await kubectl('-n', release.ns, 'get', 'pod', 'restore', '-o', 'jsonpath={.status.phase}');
      if (phase === 'Failed') throw new Error(await kubectl('-n', release.ns, 'logs', 'restore'));
      return phase === 'Succeeded';
    });
    expect(await release.sql('SELECT what FROM kept')).toBe('before');
    await release.step('upgrade to the version of that day', () => release.upgrade('0.1.0'), {
      migrations: SCHEMA,
      tag: '0.1.0',
    });
    await release.step('and again to the next', () => release.upgrade('0.2.0'), {
      migrations: SCHEMA + 1,
      tag: '0.2.0',
    });
    await release.remove();
  });

  describe.concurrent('what is said when it fails', () => {
    const hook = (name: string, more: object = {}) =>
      Release.in(`kasm-test-why-${name}-${program}`, 'external', { ...WITHOUT_GATEWAYS, ...more }, [], program);
    const failed = async (release: Release, what: string, said: Ended, reason: RegExp) => {
      expect(said.code, said.stdout).not.toBe(0);
      expect(said.stdout + said.stderr, what).toMatch(reason);
      tell('external', program, what, 'failed, Helm says why', seconds(said));
      await release.remove();
    };

    it('a Secret, a key, a CA or a ServiceAccount that is missing: before anything starts', async () => {
      const release = await hook('missing');
      const { 'admin-password': _, ...incomplete } = SECRETS;
      await kubectl('-n', release.ns, 'delete', 'secret', 'kasm-credentials');
      await secret(release.ns, 'kasm-credentials', incomplete);
      await kubectl('-n', release.ns, 'delete', 'configmap', 'db-ca');
      const said = await release.install('0.1.0', { 'kasm-db': { serviceAccountName: 'nobody' } });
      expect(said.ms).toBeLessThan(60_000);
      expect(await kubectl('-n', release.ns, 'get', 'jobs,pods', '-o', 'name')).toBe('');
      await failed(
        release,
        'install without key, CA and ServiceAccount',
        said,
        /lacks[\s\S]*the key admin-password in the Secret kasm-credentials[\s\S]*the ConfigMap db-ca[\s\S]*the ServiceAccount nobody/,
      );
      const bare = await hook('bare');
      await kubectl('-n', bare.ns, 'delete', 'secret', 'kasm-credentials');
      await failed(
        bare,
        'install without Secret',
        await bare.install('0.1.0'),
        /lacks[\s\S]*the Secret kasm-credentials/,
      );
    });

    // What is looked up beforehand can be removed while the Job runs, or the look be turned off.
    const soon = { activeDeadlineSeconds: 40, lockTimeout: '10s', connectTimeout: '10s' };
    it.each([
      ['secret', 'kasm-credentials', {}, /secret "kasm-credentials" not found/],
      ['configmap', 'db-ca', {}, /configmap "db-ca" not found/],
      ['serviceaccount', undefined, { serviceAccountName: 'nobody' }, /serviceaccount "nobody" not found/],
    ] as const)('a %s that is not there when the pod starts: the events name it', async (kind, name, more, reason) => {
      const release = await hook(kind);
      if (name) await kubectl('-n', release.ns, 'delete', kind, name);
      const said = await release.install('0.1.0', { 'kasm-db': { lookupReferences: false, migrator: soon, ...more } });
      expect(said.code).not.toBe(0);
      const why = await whyItFailed(release);
      expect(why).toMatch(reason);
      tell('external', program, `install without ${kind}, not looked up`, 'failed, NOTES says why', seconds(said));
      printed.push(said.stderr);
      await release.remove();
    });

    it.each([
      ['db-password', /references non-existent secret key: db-password/],
      ['admin-password', /admin-password/],
    ])('the key %s that is not there when the pod starts', async (key, reason) => {
      const release = await hook(key);
      const incomplete = Object.fromEntries(Object.entries(SECRETS).filter(([name]) => name !== key));
      await kubectl('-n', release.ns, 'delete', 'secret', 'kasm-credentials');
      await secret(release.ns, 'kasm-credentials', incomplete);
      const said = await release.install('0.1.0', { 'kasm-db': { lookupReferences: false, migrator: soon } });
      expect(said.code).not.toBe(0);
      expect(await whyItFailed(release)).toMatch(reason);
      tell('external', program, `install without ${key}, not looked up`, 'failed, NOTES says why', seconds(said));
      await release.remove();
    });

    it('a wrong host: the log says so while it goes on trying, and Helm in the end', async () => {
      const release = await hook('host');
      const started = Date.now();
      const installing = release.install('0.1.0', { database: { host: 'nowhere.example' } });
      await until('the log names the host', 60, async () => {
        const log = await kubectl('-n', release.ns, 'logs', '-l', MIGRATOR, '--tail=-1');
        return /nowhere\.example[\s\S]*next:/.test(log) && log;
      });
      const told = { ms: Date.now() - started };
      tell('external', program, 'a wrong host: told in the log', 'while it goes on trying', seconds(told));
      await failed(release, 'install with a wrong host', await installing, /nowhere\.example[\s\S]*next:/);
    });

    it('a wrong password: Helm prints it from the log of the hook, with --atomic too', async () => {
      const release = await hook('password');
      await secret(release.ns, 'kasm-credentials', { ...SECRETS, 'db-password': 's3cr3t-wrong' });
      const migrator = { migrator: { connectTimeout: '5s', backoffLimit: 1 } };
      const said = await release.helm('install', ['kasmdemo', 'kasm-single-zone', '--atomic'], '0.1.0', {
        'kasm-db': migrator,
      });
      await failed(release, 'install --atomic with a wrong password', said, /refuses the login[\s\S]*next:/);
    });

    it('an image that cannot be pulled: the pod remains, and the events name it', async () => {
      const release = await hook('image');
      const migrator = {
        image: { repository: 'kasm-test/nowhere' },
        migrator: { activeDeadlineSeconds: 50, lockTimeout: '20s', connectTimeout: '20s' },
      };
      const said = await release.install('0.1.0', { 'kasm-db': migrator });
      expect(said.code).not.toBe(0);
      expect(await whyItFailed(release)).toMatch(
        /(Failed to pull image|ErrImage\w+|ImagePullBackOff).*kasm-test\/nowhere/i,
      );
      tell('external', program, 'install with an image that is nowhere', 'failed, NOTES says why', seconds(said));
      await release.remove();
    });

    it('a quota that lets no pod in: the events name it', async () => {
      const release = await hook('quota');
      await apply({
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: { name: 'none', namespace: release.ns },
        spec: { hard: { pods: '0' } },
      });
      const migrator = { migrator: { activeDeadlineSeconds: 40, lockTimeout: '10s', connectTimeout: '10s' } };
      const said = await release.install('0.1.0', { 'kasm-db': migrator });
      expect(said.code).not.toBe(0);
      expect(await whyItFailed(release)).toMatch(/exceeded quota: none/);
      tell('external', program, 'install under a quota of no pods', 'failed, NOTES says why', seconds(said));
      await release.remove();
    });

    it("the Job's deadline in mid-migration: the pod remains, with its result", async () => {
      const release = await hook('deadline');
      const migrator = { migrator: { activeDeadlineSeconds: 32, lockTimeout: '10s', connectTimeout: '10s' } };
      const said = await release.install('0.2.0-slow', { 'kasm-db': migrator });
      expect(said.code).not.toBe(0);
      expect(await until('a result', 60, async () => (await migratorResults(release.ns)).at(0))).toMatchObject({
        outcome: 'interrupted',
        exitCode: 143,
      });
      tell('external', program, 'a migration longer than the deadline', 'failed, the pod remains', seconds(said));
      await release.remove();
    });
  });
});
