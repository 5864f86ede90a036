/** examples/kasm-helm/ and docs/KASM-HELM.md: both charts, kasm-db's and a stand-in for Kasm's own, agree on database, login and Secret. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { fences, ROOT } from '../support/markdown.js';
import { chartFolder, hasHelm, type Manifest, manifestsIn, renderText } from './helm.js';

const EXAMPLES = join(ROOT, 'examples/kasm-helm');
const STAND_IN = join(ROOT, 'test/cluster/kasm-helm');
const read = (path: string) => parse(readFileSync(join(EXAMPLES, path), 'utf8'));
const render = (release: string, path: string, values: object) => manifestsIn(renderText(values, { release, path }));

/** Where Kasm's gate looks, and with which Secret's key. */
function gateOf(manifests: Manifest[]) {
  const api = manifests.find(({ kind }) => kind === 'Deployment').spec.template.spec;
  const env = Object.fromEntries(api.initContainers[0].env.map((entry: Manifest) => [entry.name, entry]));
  const { name, key } = env.PGPASSWORD.valueFrom.secretKeyRef;
  return { host: env.PGHOST.value, database: env.PGDATABASE.value, user: env.PGUSER.value, secret: `${name}/${key}` };
}

/** The same of kasm-db's Job. */
function migratorOf(manifests: Manifest[]) {
  const job = manifests.find(({ kind, metadata }) => kind === 'Job' && /migrate/.test(metadata.name));
  const { containers, volumes } = job.spec.template.spec;
  const env = Object.fromEntries(containers[0].env.map(({ name, value }: Manifest) => [name, value]));
  const { secretName, items } = volumes.find(({ name }: Manifest) => name === 'kasm-db-password').secret;
  const to = { host: env.POSTGRES_HOST, database: env.POSTGRES_DB, user: env.POSTGRES_USER };
  return { job, to: { ...to, secret: `${secretName}/${items[0].key}` } };
}

/** helm template sees no cluster, so that a Secret cannot be made: for rendering it counts as there. */
function rendered(way: string, more: object = {}) {
  const values = { ...read(`${way}/kasm-db.yaml`), ...more };
  if (!values.credentials.existingSecret) values.credentials = { existingSecret: 'kasm-db-credentials' };
  return render('kasm-db', chartFolder('kasm-db'), values);
}

describe.skipIf(!hasHelm)("beside Kasm's own chart", () => {
  it.each(['secret-brought', 'made-by-kasm-db', 'made-by-kasm-helm'])('%s: both log in alike', (way) => {
    const kasm = render('kasm', STAND_IN, read(`${way}/kasm-helm.yaml`));
    const { job, to } = migratorOf(rendered(way));
    expect(gateOf(kasm)).toEqual(to);
    expect(job.spec.template.spec.containers[0].args).toContain('--seed');
    expect(kasm.filter(({ kind }) => kind === 'Job')).toEqual([]);
    const made = kasm.filter(({ kind }) => kind === 'Secret').map(({ metadata }) => metadata.name);
    expect(made).toEqual(way === 'made-by-kasm-helm' ? ['kasm-secrets'] : []);
  });

  it("a parent chart: kasm-db's Job comes after Kasm's Secret and its dump", () => {
    const parent = mkdtempSync(join(tmpdir(), 'kasm-db-parent-'));
    for (const file of readdirSync(join(EXAMPLES, 'parent-chart')))
      cpSync(join(EXAMPLES, 'parent-chart', file), join(parent, file));
    mkdirSync(join(parent, 'charts'));
    cpSync(STAND_IN, join(parent, 'charts/kasm-helm'), { recursive: true });
    cpSync(chartFolder('kasm-db'), join(parent, 'charts/kasm-db'), { recursive: true });
    const values = { 'kasm-helm': { dbManagement: { upgrade: { enable: true } } } };
    const manifests = render('kasm', parent, values);
    const { job, to } = migratorOf(manifests);
    expect(gateOf(manifests)).toEqual(to);
    const weight = ({ metadata }: Manifest) => Number(metadata.annotations['helm.sh/hook-weight']);
    const others = manifests.filter((one) => one !== job && one.metadata.annotations?.['helm.sh/hook']);
    expect(others.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual(
      expect.arrayContaining(['Secret/kasm-secrets', 'Job/kasm-db-backup']),
    );
    for (const other of others)
      if (!other.metadata.annotations['helm.sh/hook'].includes('test')) expect(weight(other)).toBeLessThan(weight(job));
  });

  it('its bundled database: kasm-db has no Job, and its commands go there', () => {
    const manifests = rendered('bundled-database');
    expect(manifests.filter(({ kind }) => kind === 'Job')).toEqual([]);
    const kasm = render('kasm', STAND_IN, read('bundled-database/kasm-helm.yaml'));
    const service = kasm.find(({ kind }) => kind === 'Service').metadata.name;
    expect(read('bundled-database/kasm-db.yaml').database.host).toBe(service);
  });

  it("a database that Kasm's chart has made: commands first, a Job when it is adopted", () => {
    const first = rendered('adopt');
    expect(first.filter(({ kind }) => kind === 'Job')).toEqual([]);
    expect(first.filter(({ kind }) => kind === 'CronJob').map(({ metadata }) => metadata.name)).toEqual(
      expect.arrayContaining(['kasm-db-look', 'kasm-db-adopt']),
    );
    const { to } = migratorOf(rendered('adopt', { migrator: { mode: 'hook' } }));
    expect(gateOf(render('kasm', STAND_IN, read('adopt/kasm-helm.yaml')))).toEqual(to);
  });

  it('the page has the values of the first way', () => {
    const blocks = fences('docs/KASM-HELM.md').filter(({ language }) => language === 'yaml');
    const of = (title: string) => parse(blocks.find(({ text }) => text.startsWith(title))?.text ?? '');
    expect(of('# values of kasm-db')).toEqual(read('secret-brought/kasm-db.yaml'));
    expect(of("# values of Kasm's chart")).toEqual(read('secret-brought/kasm-helm.yaml'));
  });

  it("preseed files come from the Secrets that Kasm's chart makes; a renamed administrator has keys of his own", () => {
    const blocks = fences('docs/KASM-HELM.md').filter(({ text }) => text.includes('customProperties'));
    const { job } = migratorOf(render('kasm-db', chartFolder('kasm-db'), parse(blocks[0]?.text ?? '')));
    const { containers, volumes } = job.spec.template.spec;
    const sources = (name: string) =>
      volumes
        .find((volume: Manifest) => volume.name === name)
        .projected.sources.map(
          ({ secret }: Manifest) => `${secret.name}/${secret.items[0].key}=${secret.items[0].path}`,
        );
    expect(sources('kasm-db-seeds')).toEqual([
      'kasm-default-properties/default_properties.yaml=default_properties.yaml',
      'kasm-db-preseed/custom_properties.yaml=custom_properties.yaml',
    ]);
    expect(sources('kasm-db-secrets')).toEqual([
      'kasm-credentials/boss-password=boss-password',
      'kasm-password-salts/boss-salt=boss-salt',
      'kasm-credentials/manager-token=manager-token',
      'kasm-credentials/service-token=service-token',
      'kasm-credentials/user-password=user-password',
    ]);
    expect(containers[0].env).toContainEqual({ name: 'KASM_DB_AUTH_DOMAIN', value: 'kasm.example.com' });
    expect(containers[0].args.join(' ')).toContain('--seeds /etc/kasm-db/seeds');
  });
});
