/** What the charts make of what is in the cluster already: `lookup`, answered by an API server of our own. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { notesServed, renderServed } from './api-server.js';
import { chartFolder, HELMS, hasHelm, type Manifest } from './helm.js';

const chart = chartFolder('kasm-db');
const VALUES = {
  database: { host: 'db.example' },
  credentials: { existingSecret: 'kasm-credentials' },
  migrator: { mode: 'job' },
  lookupReferences: false,
};

const singleZone = chartFolder('kasm-single-zone');
const tls = ['nginx-ingress-cert', 'rdp-proxy-cert'].map((name) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  data: { 'tls.crt': 'eA==', 'tls.key': 'eA==' },
}));

const jobOf = (manifests: Manifest[]): Manifest => manifests.find(({ kind }) => kind === 'Job');

describe.skipIf(!hasHelm).each(HELMS)('with %s', (program) => {
  it('NOTES of mode manual say what is left to do, and name no Job and no test, which are not there', async () => {
    const notes = (path: string, values: object, there: Manifest[] = []) =>
      notesServed(path, { ...values, migrator: { mode: 'manual' } }, there, { program });
    const onDemand = { enabled: true, commands: { adopt: ['adopt'] } };
    const single = await notes(singleZone, { host: 'a.example', 'kasm-db': { onDemand } }, tls);
    for (const said of [await notes(chart, { ...VALUES, onDemand, seed: { enabled: true } }), single]) {
      expect(said).toMatch(/No Job migrates the database .* Run `kasm-db migrate --seed` yourself/);
      expect(said).toMatch(/as any of migrate, status, doctor, verify, adopt:/);
      expect(said).toContain('kubectl -n kasm-helm create job --from=cronjob/kasmdemo-status status');
      expect(said).not.toMatch(/helm test|component=migrator/);
    }
    expect(await notes(chart, VALUES)).not.toMatch(/--seed|cronjob/);
  });

  it("NOTES have values of Kasm's chart that are YAML, and none that stand in a Secret", async () => {
    const notes = async (database: object) =>
      notesServed(chart, { ...VALUES, seed: { enabled: true }, database }, [], { program });
    /** The block as its reader pastes it. */
    const pasted = (said: string) => parse(/^ {2}database: .*$/m.exec(said)?.[0] ?? '').database;
    const plain = { host: 'a.example,b.example', port: 6432, name: 'yes', user: 'a, b: c' };
    const said = await notes(plain);
    expect(said).toContain('the database on a.example,b.example.');
    expect(pasted(said)).toMatchObject({
      hostname: plain.host,
      port: plain.port,
      kasmDbName: plain.name,
      kasmDbUser: plain.user,
      kasmDbSecret: { name: 'kasm-credentials', key: 'db-password' },
    });
    const keys = { password: 'password', user: 'username', port: 'port' };
    const database = pasted(await notes({ host: 'db', existingSecret: 'pg', keys }));
    expect(database).toMatchObject({
      port: '<port of the Secret pg>',
      kasmDbName: 'kasm',
      kasmDbUser: '<username of the Secret pg>',
      kasmDbSecret: { name: 'pg', key: 'password' },
    });
    const inSecret = await notes({ host: 'left', existingSecret: 'pg', keys: { ...keys, host: 'host' } });
    expect(inSecret).not.toContain('left');
  });

  describe('the name of a plain Job', () => {
    const OWNED = { 'meta.helm.sh/release-name': 'kasmdemo', 'meta.helm.sh/release-namespace': 'kasm-helm' };

    /** The Job as the API server has it after it ended, or while it runs. */
    const left = (job: Manifest, uid: string, condition?: string, labels = job.metadata.labels): Manifest => ({
      ...job,
      metadata: { ...job.metadata, uid, labels, annotations: OWNED },
      status: condition ? { conditions: [{ type: condition, status: 'True' }] } : { active: 1 },
    });
    const render = async (...there: Manifest[]) => jobOf(await renderServed(chart, VALUES, there, { program }));
    const name = async (...there: Manifest[]) => (await render(...there)).metadata.name as string;

    it('is another one after each install that failed: helm install --replace renders revision 1 again', async () => {
      const first = await render();
      const failed = left(first, 'a', 'Failed');
      const second = await render(failed);
      expect(second.metadata.name).toMatch(/^kasmdemo-migrate-1-[0-9a-f]{8}$/);
      expect(second.metadata.name).not.toBe(first.metadata.name);
      const third = await name(failed, left(second, 'b', 'Failed'));
      expect([first.metadata.name, second.metadata.name]).not.toContain(third);
      // The volume may be another one by now, so a Job that succeeded is no reason to do nothing.
      expect(await name(left(first, 'a', 'Complete'))).not.toBe(first.metadata.name);
    });

    it('stays while the Job is at work, and whatever Jobs of others do', async () => {
      const first = await render();
      expect(await name(left(first, 'a'))).toBe(first.metadata.name);
      const other = { ...first.metadata.labels, 'app.kubernetes.io/instance': 'another' };
      expect(await name(left(first, 'a', 'Failed', other))).toBe(first.metadata.name);
      const unlabelled = { 'app.kubernetes.io/managed-by': 'Helm' };
      expect(await name(left(first, 'a', 'Failed', unlabelled))).toBe(first.metadata.name);
    });
  });

  describe('credentials that were made', () => {
    const KEYS = ['admin-password', 'db-password', 'manager-token', 'service-token', 'user-password'];
    const made = (...keys: string[]): Manifest => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'kasmdemo-credentials' },
      data: Object.fromEntries(keys.map((key) => [key, 'b2xk'])),
    });
    const volume = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data-db-0' } };
    const SEEDED = {
      lookupReferences: false,
      database: { host: 'db' },
      bootstrap: { enabled: true, existingSecret: 'admin' },
      seed: { enabled: true },
    };
    const values = (more: object = {}) => ({ ...SEEDED, credentials: { makeDatabasePassword: true, ...more } });
    const render = (credentials: object, there: Manifest[], ...args: string[]) =>
      renderServed(chart, values(credentials), there, { args, program });
    const secretOf = (manifests: Manifest[]): Manifest | undefined => manifests.find(({ kind }) => kind === 'Secret');

    it('are made by the first install, and stay as they are', async () => {
      expect(Object.keys(secretOf(await render({}, []))?.data)).toEqual(KEYS);
      expect(secretOf(await render({}, [made(...KEYS)]))).toBeUndefined();
      expect(secretOf(await render({}, [made(...KEYS)], '--is-upgrade'))).toBeUndefined();
    });

    it('and were lost are not made anew by an upgrade: the database has other ones', async () => {
      const lost = render({}, [], '--is-upgrade');
      await expect(lost).rejects.toThrow(/Secret kasmdemo-credentials in namespace kasm-helm is missing/);
      await expect(lost).rejects.toThrow(/kubectl -n kasm-helm create secret generic kasmdemo-credentials /);
      await expect(render({}, [made(...KEYS.slice(1))], '--is-upgrade')).rejects.toThrow(
        /has no admin-password any more/,
      );
      const again = secretOf(await render({ makeAgain: true }, [made('db-password')], '--is-upgrade'));
      expect(Object.keys(again?.data)).toEqual(KEYS);
      expect(again?.data['db-password']).toBe('b2xk');
    });

    it('and were lost are not made anew beside a volume that was kept', async () => {
      const install = (there: Manifest[], more: object = {}) =>
        renderServed(singleZone, { host: 'kasm.example.com', ...more }, [...tls, ...there], { program });
      expect(Object.keys(secretOf(await install([]))?.data)).toEqual(KEYS);
      expect(secretOf(await install([volume, made(...KEYS)]))).toBeUndefined();
      await expect(install([volume])).rejects.toThrow(/the volume data-db-0 was kept, so the database on it has other/);
      expect(secretOf(await install([volume], { credentials: { makeAgain: true } }))).toBeDefined();
      expect(
        secretOf(
          await install([volume], { credentials: { existingSecret: 'mine' }, 'kasm-db': { lookupReferences: false } }),
        ),
      ).toBeUndefined();
    });
  });

  describe('an upgrade never initialises an empty database', () => {
    const revision = (version: number, status: string, release = 'kasmdemo'): Manifest => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: `sh.helm.release.v1.${release}.v${version}`,
        labels: { owner: 'helm', name: release, status, version: String(version) },
      },
      type: 'helm.sh/release.v1',
    });
    const expects = async (there: Manifest[], more: object = {}, args = ['--is-upgrade']) => {
      const manifests = await renderServed(chart, { ...VALUES, ...more }, there, { args, program });
      return jobOf(manifests).spec.template.spec.containers[0].args.includes('--expect-existing');
    };

    it('and an installation does; so does an upgrade where that is asked for', async () => {
      expect(await expects([])).toBe(true);
      expect(await expects([revision(1, 'deployed')])).toBe(true);
      expect(await expects([revision(1, 'superseded'), revision(2, 'failed')])).toBe(true);
      expect(await expects([], {}, [])).toBe(false);
      expect(await expects([], { migrator: { mode: 'hook', initializeOnUpgrade: true } })).toBe(false);
    });

    it('but one after a first installation that failed is a first installation still', async () => {
      expect(await expects([revision(1, 'failed')])).toBe(false);
      expect(await expects([revision(1, 'failed'), revision(2, 'pending-upgrade')])).toBe(false);
      expect(await expects([revision(1, 'failed'), revision(1, 'deployed', 'another')])).toBe(false);
      expect(await expects([revision(1, 'failed', 'another')])).toBe(true);
    });
  });

  describe('what is read in the cluster', () => {
    const object = (kind: string, name: string, ...keys: string[]): Manifest => ({
      apiVersion: 'v1',
      kind,
      metadata: { name },
      data: Object.fromEntries(keys.map((key) => [key, 'eA=='])),
    });
    const everything = parse(readFileSync(`${chart}/ci/everything-values.yaml`, 'utf8'));
    const THERE = [
      object(
        'Secret',
        'kasm-credentials',
        'db-password',
        'admin-password',
        'user-password',
        'manager-token',
        'service-token',
        'jane',
      ),
      object('Secret', 'api', 'password'),
      object('Secret', 'db-ca', 'ca.crt'),
      object('Secret', 'db-client', 'tls.crt', 'tls.key'),
      object('Secret', 'pull', '.dockerconfigjson'),
      object('ConfigMap', 'redis-ca', 'ca.crt'),
      object('ConfigMap', 'my-seeds', 'a.yaml'),
      object('ConfigMap', 'my-migrations', '0001_a.sql'),
      object('ServiceAccount', 'migrator'),
      object('PersistentVolumeClaim', 'dumps'),
    ];
    const render = (there: Manifest[], more: object = {}) =>
      renderServed(chart, { ...everything, global: {}, ...more }, there, { program });

    it('is named when it is missing, each with its value, before anything starts', async () => {
      expect((await render(THERE)).map(({ kind }) => kind)).toContain('Job');
      for (const gone of THERE) {
        const { kind, metadata } = gone;
        await expect(render(THERE.filter((one) => one !== gone)), metadata.name).rejects.toThrow(
          new RegExp(`namespace kasm-helm lacks[^]* the ${kind} ${metadata.name} \\([a-zA-Z.]+`),
        );
      }
      // Redis is a convenience: nobody waits for its password.
      expect(JSON.stringify(everything)).toContain('kasm-redis');
    });

    it('is named down to the key, with those that are there', async () => {
      const wrong = [object('Secret', 'db-client', 'tls.crt', 'key.pem'), ...THERE];
      await expect(render(wrong)).rejects.toThrow(
        /the key tls\.key in the Secret db-client \(database\.clientCertificate\.keyKey\), which has: key\.pem, tls\.crt/,
      );
    });

    it('is named where its value ends with a line break that Kasm would take for a part of it', async () => {
      const mine = (broken: string) => ({
        ...object('Secret', 'mine'),
        data: Object.fromEntries(
          ['db-password', 'admin-password', 'user-password', 'manager-token', 'service-token'].map((key) => [
            key,
            Buffer.from(key === broken ? 'x\n' : 'x').toString('base64'),
          ]),
        ),
      });
      const single = (broken: string, own: object = {}) => {
        const values = { host: 'a.example', credentials: { existingSecret: 'mine' }, 'kasm-db': own };
        return renderServed(singleZone, values, [...tls, mine(broken)], { program });
      };
      await expect(single('service-token')).rejects.toThrow(
        /ends with a line break[\s\S]*the key service-token in the Secret mine \(credentials\.keys\.serviceToken\)/,
      );
      await expect(single('db-password')).rejects.toThrow(/db-password in the Secret mine/);
      // kasm-db seeds it without.
      await single('admin-password');
      await expect(single('admin-password', { seed: { by: 'kasm' } })).rejects.toThrow(/admin-password in the Secret/);
      const alone = { database: { host: 'db' }, credentials: { existingSecret: 'mine' }, seed: { enabled: true } };
      await renderServed(chart, alone, [mine('db-password')], { program });
    });

    it('is not asked for where it comes with the release', async () => {
      expect((await render([], { lookupReferences: false })).map(({ kind }) => kind)).toContain('Job');
    });

    it('is named where a certificate is missing, or has other keys', async () => {
      const install = (there: Manifest[], database: object = {}) =>
        renderServed(singleZone, { host: 'a.example', database }, there, { program });
      const [ingress, rdp] = tls as [Manifest, Manifest];
      await expect(install([ingress])).rejects.toThrow(/TLS Secret rdp-proxy-cert \(tls\.rdp\) is missing/);
      await expect(install([ingress, { ...rdp, data: { 'tls.crt': 'eA==', 'key.pem': 'eA==' } }])).rejects.toThrow(
        /TLS Secret rdp-proxy-cert \(tls\.rdp\) in namespace kasm-helm has no key tls\.key; it has: key\.pem, tls\.crt/,
      );
      await expect(install(tls, { certificate: 'of-the-database' })).rejects.toThrow(
        /TLS Secret of-the-database \(database\.certificate\) is missing/,
      );
    });

    it("is looked up for kasm-single-zone's values too", async () => {
      await expect(
        renderServed(singleZone, { host: 'a.example', credentials: { existingSecret: 'mine' } }, tls, { program }),
      ).rejects.toThrow(
        /the Secret mine \(credentials\.keys\.databasePassword\)[\s\S]*: kasm-db\.lookupReferences=false/,
      );
      const below = { bootstrap: { enabled: true, existingSecret: 'admin' } };
      await expect(renderServed(singleZone, { host: 'a.example', 'kasm-db': below }, tls, { program })).rejects.toThrow(
        /the Secret admin \(kasm-db\.bootstrap\.keys\.user\)/,
      );
    });
  });
});
