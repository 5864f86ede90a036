/** kasm-db inside of the cluster when it is wanted, a proxy beside it, and replicas that somebody else sets: with Helm 3 and 4. */
import { describe, expect, it } from 'vitest';
import {
  HELM_TIMEOUT,
  helm,
  kubectl,
  migratorResults,
  pods,
  psqlExternal,
  readyPods,
  until,
  WITHOUT_GATEWAYS,
} from './cluster.js';
import { aroundAll, external, HELMS, Release, rows, SCHEMA, seconds } from './release.js';

aroundAll();

/** Runs the Job of release inside's command to its end. @returns what it ended with */
async function runOnDemand(program: string, ns: string, command: string, number: number) {
  const job = `${command}-${number}`;
  const started = Date.now();
  await kubectl('-n', ns, 'create', 'job', `--from=cronjob/inside-${command}`, job);
  const state = await until(`Job ${job}`, 120, async () => {
    const { status } = JSON.parse(await kubectl('-n', ns, 'get', 'job', job, '-o', 'json'));
    return status.conditions?.find(({ type }: { type: string }) => /^(Complete|Failed)$/.test(type))?.type as string;
  });
  const [pod] = await pods(ns, `job-name=${job}`);
  rows.push(['external', '(none)', program, `on demand: ${job}`, state, seconds({ ms: Date.now() - started })]);
  const end = pod?.status.containerStatuses?.[0]?.state.terminated;
  return { state, ...JSON.parse(end?.message ?? '{}') };
}

describe.each(HELMS)('%s', (program) => {
  it('mode manual: migrate, status, doctor and verify are run from suspended CronJobs, beside a proxy that ends with them', async () => {
    const ns = `kasm-test-inside-${program}`;
    const values = await external(ns);
    const proxy = {
      name: 'proxy',
      image: 'kasm-test/standin:1',
      // Ends when it is told to, as a proxy does; the first process of a container has to ask for that.
      command: ['sh', '-c', 'trap "exit 0" TERM; sleep infinity & wait'],
      restartPolicy: 'Always',
      securityContext: {
        runAsNonRoot: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        seccompProfile: { type: 'RuntimeDefault' },
      },
    };
    const installed = await helm(
      'install',
      ['inside', 'kasm-db', '-n', ns, '--wait', '--timeout', HELM_TIMEOUT],
      {
        ...values,
        database: { ...(values as { database: object }).database, bundled: undefined },
        image: { tag: '0.1.0' },
        seed: { enabled: true },
        onDemand: { enabled: true },
        migrator: { mode: 'manual', extraInitContainers: [proxy] },
      },
      program,
    );
    expect(installed.code, installed.stderr).toBe(0);
    expect(await pods(ns, '')).toEqual([]);

    const ask = (command: string, number: number) => runOnDemand(program, ns, command, number);
    expect(await ask('status', 1)).toMatchObject({ state: 'Complete', outcome: 'ok' });
    expect(await ask('migrate', 1)).toMatchObject({ state: 'Complete', outcome: 'ok', exitCode: 0 });
    expect(await ask('doctor', 1)).toMatchObject({ state: 'Complete', outcome: 'ok' });
    expect(await ask('verify', 1)).toMatchObject({ state: 'Complete', outcome: 'ok' });
    await psqlExternal('ALTER TABLE zones ADD COLUMN drifted integer', ns.replaceAll('-', '_'));
    expect(await ask('verify', 2)).toMatchObject({ state: 'Failed', outcome: 'integrity', exitCode: 6 });
    await kubectl('delete', 'namespace', ns, '--wait=false');
  });

  it('mode manual, seed.by kasm: the Job of migrate runs Kasm’s program too, once', async () => {
    const ns = `kasm-test-inside-by-kasm-${program}`;
    const values = await external(ns);
    const resources = { requests: { cpu: '5m', memory: '16Mi' }, limits: { memory: '256Mi' } };
    const installed = await helm(
      'install',
      ['inside', 'kasm-db', '-n', ns],
      {
        ...values,
        database: { ...(values as { database: object }).database, bundled: undefined },
        image: { tag: '0.1.0' },
        seed: { enabled: true, by: 'kasm', kasm: { image: 'kasm-test/standin:1', resources } },
        onDemand: { enabled: true },
        migrator: { mode: 'manual' },
      },
      program,
    );
    expect(installed.code, installed.stderr).toBe(0);
    const sql = (query: string) => psqlExternal(query, ns.replaceAll('-', '_'));
    for (const number of [1, 2]) {
      expect(await runOnDemand(program, ns, 'migrate', number)).toMatchObject({ state: 'Complete', outcome: 'ok' });
      expect(await sql('SELECT count(*) FROM kasm_db.once')).toBe('1');
      expect(await sql('SELECT count(*) FROM users WHERE pw_hash IS NOT NULL')).toBe('2');
    }
    await kubectl('delete', 'namespace', ns, '--wait=false');
  });

  it('replicas that are left out stay as kubectl scale has set them, over an upgrade', async () => {
    const free = { api: { replicas: null } };
    const release = await Release.in(
      `kasm-test-scale-${program}`,
      'bundled',
      { ...WITHOUT_GATEWAYS, ...free },
      [],
      program,
    );
    const installed = await release.install('0.1.0');
    expect(installed.code, installed.stderr).toBe(0);
    expect(await readyPods(release.ns, 'kasm-api')).toHaveLength(1);
    await kubectl('-n', release.ns, 'scale', 'deployment/kasm-api', '--replicas=3');
    await release.step('upgrade after kubectl scale', () => release.upgrade('0.2.0'), {
      migrations: SCHEMA + 1,
      tag: '0.2.0',
    });
    expect((await migratorResults(release.ns)).at(-1)).toMatchObject({ outcome: 'ok' });
    await release.remove();
  });
});
