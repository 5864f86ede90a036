/** Who writes the default rows, through the life of a release: kasm-db, or a stand-in for Kasm's own program, which encrypts them. */
import { describe, expect, it } from 'vitest';
import { HELM_TIMEOUT, kubectl, MIGRATOR, pods, until, WITHOUT_GATEWAYS } from './cluster.js';
import { aroundAll, HELMS, KINDS, Release, rows, SCHEMA, seconds } from './release.js';

const small = { requests: { cpu: '5m', memory: '16Mi' }, limits: { memory: '256Mi' } };

/** The API then reads settings as the real one does: what is not encrypted with its key ends it. */
const BY_KASM = {
  api: { extraEnv: [{ name: 'KASM_TEST_ENCRYPTED', value: 'true' }] },
  'kasm-db': {
    seed: {
      by: 'kasm',
      kasm: { resources: small, extraEnv: [{ name: 'KASM_TEST_SEED_SECONDS', value: '10' }] },
    },
  },
};

aroundAll();

/** How often Kasm's program was run to its end. */
const timesRun = async (release: Release): Promise<string> => {
  const there = await release.sql("SELECT to_regclass('kasm_db.once') IS NOT NULL");
  return there === 't' ? release.sql('SELECT count(*) FROM kasm_db.once') : '0';
};

/** Ends the migrator's pod without a word, as a node that is lost does, once a container of it is at work. */
async function killMigrator({ ns }: Release, container: string): Promise<void> {
  const name = await until(`${container} is at work`, 180, async () => {
    const all = await pods(ns, MIGRATOR);
    const found = all.find(({ status }) =>
      status.containerStatuses?.some((one) => one.name === container && one.state.running),
    );
    return found?.metadata.name;
  });
  await kubectl('-n', ns, 'delete', 'pod', name, '--grace-period=0', '--force');
}

describe.concurrent('seed.by', () => {
  const cases = HELMS.flatMap((program) =>
    (['kasm', 'kasm-db'] as const).flatMap((by) => KINDS.map((kind) => [program, by, kind] as const)),
  );

  it.each(
    cases,
  )('%s, by %s, database %s: install, upgrade, reinstall, and the pod killed in the seed', async (program, by, kind) => {
    const values = { ...WITHOUT_GATEWAYS, ...(by === 'kasm' ? BY_KASM : {}) };
    const once = by === 'kasm' ? '1' : '0';
    const release = await Release.in(`kasm-test-by-${by}-${kind}-${program}`, kind, values, [], program);
    await release.step(`install, seed.by ${by}`, () => release.install('0.1.0'), { migrations: SCHEMA, tag: '0.1.0' });
    expect(await timesRun(release)).toBe(once);
    await release.step(`upgrade, seed.by ${by}`, () => release.upgrade('0.2.0'), {
      migrations: SCHEMA + 1,
      tag: '0.2.0',
    });
    expect(await timesRun(release)).toBe(once);
    const gone = await release.helm('uninstall', ['kasmdemo', '--wait', '--timeout', HELM_TIMEOUT]);
    expect(gone.code, gone.stderr).toBe(0);
    await release.step(`reinstall with the kept data, seed.by ${by}`, () => release.install('0.2.0'), {
      migrations: SCHEMA + 1,
      tag: '0.2.0',
    });
    expect(await timesRun(release)).toBe(once);
    await release.remove();

    const killed = await Release.in(`kasm-test-by-${by}-${kind}-killed-${program}`, kind, values, [], program);
    const installing = killed.install('0.1.0');
    await killMigrator(killed, by === 'kasm' ? 'kasm-seed' : 'migrate');
    const ended = await installing;
    expect(ended.code, ended.stderr + ended.stdout).toBe(0);
    await killed.holds(SCHEMA, '0.1.0');
    expect(await timesRun(killed)).toBe(once);
    rows.push([kind, '(none)', program, `the pod killed in the seed, seed.by ${by}`, 'as it should', seconds(ended)]);
    console.log(rows.at(-1)?.join('  '));
    await killed.remove();
  });
});
