/** The charts on a real cluster: `npm run test:cluster`. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  apply,
  CHARTS,
  EXTERNAL_HOST,
  HELM_TIMEOUT,
  helm,
  kubectl,
  MIGRATOR,
  merge,
  migratorResults,
  must,
  namespace,
  pods,
  psqlBundled,
  psqlExternal,
  readyPods,
  run,
  secret,
  until,
  values,
  WITHOUT_GATEWAYS,
} from './cluster.js';
import {
  aroundAll,
  external,
  externalCa,
  HELMS,
  KINDS,
  PASSWORD,
  printed,
  Release,
  rows,
  SCHEMA,
  SECRETS,
  seconds,
} from './release.js';

let ca = '';

aroundAll();
beforeAll(async () => {
  ca = await externalCa();
});

describe.concurrent('Show 1 and 2: through its life, in a namespace that enforces restricted', () => {
  const cases = HELMS.flatMap((program) =>
    KINDS.flatMap((kind) => [[program, kind, []] as const, [program, kind, ['--atomic']] as const]),
  );
  it.each(cases)('%s, %s %j', async (program, kind, flags) => {
    const atomic = flags.length > 0;
    const name = `kasm-test-${kind}${atomic ? '-atomic' : ''}-${program}`;
    const release = await Release.in(name, kind, {}, [...flags], program);

    await release.step('install, 3 API pods', () => release.install('0.1.0'), { migrations: SCHEMA, tag: '0.1.0' });
    const [first] = await migratorResults(release.ns);
    expect(first).toMatchObject({ outcome: 'ok', exitCode: 0 });
    expect((first as { applied?: unknown[] }).applied ?? []).toHaveLength(SCHEMA);
    const credentials = await kubectl(
      '-n',
      release.ns,
      'get',
      'secret',
      kind === 'bundled' ? 'kasmdemo-credentials' : 'kasm-credentials',
      '-o',
      'jsonpath={.data}',
    );

    await release.step('upgrade with a new migration', () => release.upgrade('0.2.0'), {
      migrations: SCHEMA + 1,
      tag: '0.2.0',
    });

    const good = await release.revision();
    if (atomic) {
      // Helm itself rolls back.
      await release.step('upgrade with a failing migration, rolled back by Helm', () => release.upgrade('0.3.0-bad'), {
        fails:
          kind === 'external'
            ? /PodFailurePolicy|BackoffLimitExceeded|job.*failed/i
            : /timed out|deadline|not ready|failed/i,
        migrations: SCHEMA + 1,
        tag: '0.2.0',
      });
    } else {
      const failed = await release.upgrade('0.3.0-bad');
      expect(failed.code, failed.stderr).not.toBe(0);
      const reasons = await migratorResults(release.ns);
      expect(reasons.at(-1)).toMatchObject({
        outcome: 'failed',
        exitCode: 7,
        error: { sqlstate: '22012', migration: '0021_cluster_test' },
      });
      rows.push([
        kind,
        '(none)',
        program,
        'upgrade with a failing migration',
        'failed, old pods serve',
        seconds(failed),
      ]);
      await release.step('helm rollback after it', () => release.helm('rollback', ['kasmdemo', String(good)]), {
        migrations: SCHEMA + 1,
        tag: '0.2.0',
      });
    }
    await release.step('upgrade with the corrected migration', () => release.upgrade('0.3.0'), {
      migrations: SCHEMA + 2,
      tag: '0.3.0',
    });
    await release.step(
      'helm rollback to the first image, newer database',
      () => release.helm('rollback', ['kasmdemo', '1']),
      {
        migrations: SCHEMA + 2,
        tag: '0.1.0',
      },
    );

    await release.sql("CREATE TABLE kept AS SELECT 'by us'::text AS what");
    const gone = await release.helm('uninstall', ['kasmdemo', '--wait', '--timeout', HELM_TIMEOUT]);
    expect(gone.code, gone.stderr).toBe(0);
    await release.step('uninstall, and install again with the kept data', () => release.install('0.3.0'), {
      migrations: SCHEMA + 2,
      tag: '0.3.0',
    });
    expect(await release.sql('SELECT what FROM kept')).toBe('by us');
    expect(
      await kubectl(
        '-n',
        release.ns,
        'get',
        'secret',
        kind === 'bundled' ? 'kasmdemo-credentials' : 'kasm-credentials',
        '-o',
        'jsonpath={.data}',
      ),
    ).toBe(credentials);

    // The rest of the deployment, while it is there.
    await kubectl('-n', release.ns, 'rollout', 'status', 'statefulset/kasm-guac', '--timeout=120s');
    const tested = await release.helm('test', ['kasmdemo', '--timeout', '2m']);
    expect(tested.code, tested.stderr + tested.stdout).toBe(0);
    const ask = (path: string) =>
      kubectl(
        '-n',
        release.ns,
        'exec',
        'deploy/kasm-proxy',
        '--',
        'python3',
        '-c',
        `import urllib.request as r, ssl; c = ssl._create_unverified_context(); print(r.urlopen(r.Request(${JSON.stringify(path)}, headers={'Host': 'kasm.example.com'}), context=c).read().decode().strip())`,
      );
    expect(await ask('http://127.0.0.1:8080/')).toContain('stand-in');
    expect(await ask('http://127.0.0.1:8080/api/x')).toBe('kasm-api /api/x');
    expect(await ask('https://127.0.0.1:8443/manager_api/x')).toBe('kasm-manager /x');
    await release.remove();
  });
});

describe('Show 2: the pods of a restricted namespace', () => {
  it('the namespace refuses pods that are not', async () => {
    await namespace('kasm-test-restricted');
    const refused = await run('kubectl', [
      '-n',
      'kasm-test-restricted',
      'run',
      'rooty',
      '--image=kasm-test/standin:1',
      '--restart=Never',
    ]);
    expect(refused.stderr).toMatch(/violates PodSecurity "restricted/);
    await kubectl('delete', 'namespace', 'kasm-test-restricted', '--wait=false');
  });
});

describe('Show 3: rotation on an external database with verify-full', () => {
  it.each(
    HELMS,
  )('%s: password and admin password are changed by the Secret, --rotate and a rollout', async (program) => {
    const release = await Release.in(`kasm-test-rotate-${program}`, 'external', WITHOUT_GATEWAYS, [], program);
    const role = release.ns.replaceAll('-', '_');
    await release.step('install', () => release.install('0.1.0'), { migrations: SCHEMA, tag: '0.1.0' });
    const hash = () => release.sql("SELECT pw_hash FROM users WHERE username = 'admin@kasm.local'");
    const before = await hash();

    await psqlExternal(`ALTER ROLE ${role} PASSWORD 's3cr3t-rotated'`);
    await secret(release.ns, 'kasm-credentials', {
      ...SECRETS,
      'db-password': 's3cr3t-rotated',
      'admin-password': 's3cr3t-admin-2',
    });
    await release.step(
      'upgrade with seed.rotate',
      () => release.upgrade('0.1.0', { 'kasm-db': { seed: { rotate: ['admin-password'] } } }),
      {
        migrations: SCHEMA,
        tag: '0.1.0',
      },
    );
    expect(await hash()).not.toBe(before);
    const salt = await release.sql("SELECT salt FROM users WHERE username = 'admin@kasm.local'");
    const { createHash } = await import('node:crypto');
    expect(await hash()).toBe(createHash('sha256').update(`s3cr3t-admin-2${salt}`).digest('hex'));

    await kubectl('-n', release.ns, 'rollout', 'restart', 'deployment/kasm-api');
    await kubectl('-n', release.ns, 'rollout', 'status', 'deployment/kasm-api', '--timeout=180s');
    await release.holds(SCHEMA, '0.1.0');

    // With another CA nothing connects: verify-full does verify.
    const { certificateFor } = await import('./cluster.js');
    await apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'db-ca', namespace: release.ns },
      data: { 'ca.crt': (await certificateFor(EXTERNAL_HOST)).certificate },
    });
    const distrusted = await release.upgrade('0.1.0', {
      'kasm-db': { migrator: { backoffLimit: 0, connectTimeout: '5s' } },
    });
    expect(distrusted.code).not.toBe(0);
    expect((await migratorResults(release.ns)).at(-1)).toMatchObject({ outcome: 'unreachable' });
    await release.remove();
  });
});

describe('Show 4: killed in between', () => {
  const inMidMigration = (release: Release) =>
    until('the slow migration runs', 120, async () => {
      const count = await release.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(%' AND pid <> pg_backend_pid()",
      );
      return Number(count) > 0;
    });

  it.each(
    HELMS.flatMap((program) => KINDS.map((kind) => [program, kind] as const)),
  )('%s, %s: the migrator is deleted in mid-migration, and the release completes', async (program, kind) => {
    const release = await Release.in(`kasm-test-kill-${kind}-${program}`, kind, WITHOUT_GATEWAYS, [], program);
    const installing = release.step('install, migrator deleted in mid-migration', () => release.install('0.2.0-slow'), {
      migrations: SCHEMA + 1,
      tag: '0.2.0-slow',
    });
    await inMidMigration(release);
    await kubectl('-n', release.ns, 'delete', 'pod', '-l', MIGRATOR, '--wait=false');
    await installing;
    await release.remove();
  });

  it.each(
    HELMS,
  )("%s: PostgreSQL's pod is killed while migrator and gates wait for it, and the release completes", async (program) => {
    const release = await Release.in(`kasm-test-kill-postgres-${program}`, 'bundled', WITHOUT_GATEWAYS, [], program);
    const installing = release.step(
      'install, PostgreSQL killed in mid-migration',
      () => release.install('0.2.0-slow'),
      {
        migrations: SCHEMA + 1,
        tag: '0.2.0-slow',
      },
    );
    await inMidMigration(release);
    const waiting = (await pods(release.ns, 'app.kubernetes.io/name=kasm-api')).filter(
      ({ status }) => status.initContainerStatuses?.[0]?.state.running,
    );
    expect(waiting).toHaveLength(3);
    await kubectl('-n', release.ns, 'delete', 'pod', 'db-0', '--grace-period=0', '--force');
    await installing;
    await release.remove();
  });
});

describe('Show 5: a wrong password', () => {
  it.each(HELMS)('%s: the hook fails within its deadline, and the command in NOTES says why', async (program) => {
    const release = await Release.in(`kasm-test-wrong-${program}`, 'external', WITHOUT_GATEWAYS, [], program);
    await secret(release.ns, 'kasm-credentials', { ...SECRETS, 'db-password': 's3cr3t-wrong' });
    const failed = await release.install('0.1.0');
    expect(failed.code).not.toBe(0);
    expect(failed.stderr).toMatch(/pre-install.*failed|BackoffLimitExceeded|DeadlineExceeded/);
    expect(failed.ms).toBeLessThan(250_000);
    rows.push([
      'external',
      '(none)',
      program,
      'install with a wrong password',
      'failed, with the reason',
      seconds(failed),
    ]);
    const results = await migratorResults(release.ns);
    expect(results.at(-1)).toMatchObject({ outcome: 'unreachable', exitCode: 4, error: { sqlstate: '28P01' } });

    const notes = await must('helm', ['get', 'notes', 'kasmdemo', '-n', release.ns]);
    const command = notes.split('\n').find((line) => /^\s*kubectl get pods .*jsonpath/.test(line)) ?? '';
    const said = spawnSync('sh', ['-c', command.trim()], { encoding: 'utf8' });
    expect(said.status, said.stderr).toBe(0);
    expect(said.stdout).toMatch(/refuses the login/);
    printed.push(said.stdout, notes);
    await release.remove();
  });
});

describe('a release before 1.18', () => {
  it.each(HELMS)('%s: has Share and Redis, which wakes the gates', async (program) => {
    const release = await Release.in(`kasm-test-legacy-${program}`, 'bundled', { release: '1.17.0' }, [], program);
    await release.step('install of 1.17: Share, Redis', () => release.install('0.2.0-slow'), {
      migrations: SCHEMA + 1,
      tag: '0.2.0-slow',
    });
    expect(await readyPods(release.ns, 'kasm-share')).toHaveLength(1);
    // Redis wants its password, and the migrator rang.
    const redis = (command: string) =>
      kubectl('-n', release.ns, 'exec', 'deploy/kasm-redis', '--', 'sh', '-c', command);
    expect(await redis('redis-cli ping 2>&1')).toMatch(/NOAUTH/);
    expect(await redis('REDISCLI_AUTH=$REDIS_PASSWORD redis-cli info commandstats')).toMatch(
      /cmdstat_publish:calls=1,/,
    );
    const { warnings } = (await migratorResults(release.ns)).at(-1) as { warnings?: string[] };
    expect((warnings ?? []).join('\n')).not.toMatch(/redis/i);
    await release.remove();
  });
});

describe('the next layout of the vendor', () => {
  it.each(HELMS)('%s: connectionProxy, from an upgrade on', async (program) => {
    const release = await Release.in(`kasm-test-together-${program}`, 'bundled', {}, [], program);
    const after = { migrations: SCHEMA, tag: '0.1.0' };
    await release.step('install, each proxy in its own pods', () => release.install('0.1.0'), after);
    const together = { connectionProxy: { enabled: true, replicas: 2 } };
    await release.step('upgrade to connectionProxy', () => release.upgrade('0.1.0', together), after);
    const proxies = await readyPods(release.ns, 'connection-proxy');
    expect(proxies.map(({ status }) => status.containerStatuses?.map(({ restartCount }) => restartCount))).toEqual([
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
    for (const name of ['kasm-guac', 'rdp-gateway', 'rdp-https-gateway'])
      expect(await readyPods(release.ns, name), name).toEqual([]);
    const ask = (pod: number, path: string) =>
      kubectl(
        ...['-n', release.ns, 'exec', 'deploy/kasm-proxy', '--', 'python3', '-c'],
        `import urllib.request as r, ssl; c = ssl._create_unverified_context(); print(r.urlopen("https://connection-proxy-${pod}.connection-proxy:8443${path}", context=c).read().decode().strip())`,
      );
    for (const pod of [0, 1]) {
      const own = `connection-proxy-${pod}.connection-proxy.${release.ns}.svc.cluster.local`;
      expect(await ask(pod, '/__healthcheck')).toBe('ok');
      expect(await ask(pod, '/guac/x')).toBe('guac /x');
      expect(await ask(pod, '/rdp-gateway/x')).toBe(`${own} /x`);
      expect(await ask(pod, '/remoteDesktopGateway/x')).toBe(`${own} /remoteDesktopGateway/x`);
    }
    await release.remove();
  });
});

describe('the documented commands', () => {
  it("README's lines install from chart/, without -n, and again with --replace", async () => {
    await kubectl('delete', 'namespace', 'kasm-helm', '--ignore-not-found', '--wait');
    await run('helm', ['uninstall', 'kasmdemo', '-n', 'default']);
    const readme = readFileSync(`${CHARTS}/kasm-single-zone/README.md`, 'utf8');
    const lines = /## Install[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    expect(lines).toMatch(/^helm install --replace kasmdemo kasm-single-zone /m);
    const folder = mkdtempSync(join(tmpdir(), 'kasm-db-cluster-'));
    for (const chart of ['kasm-db', 'kasm-single-zone']) symlinkSync(`${CHARTS}/${chart}`, join(folder, chart));
    // Only the images are others.
    const {
      namespace: _,
      host: __,
      ...images
    } = values('kasm-helm', '0.1.0', WITHOUT_GATEWAYS) as Record<string, unknown>;
    writeFileSync(join(folder, 'images.json'), JSON.stringify(images));
    const withImages = lines.replace(/^helm install .*$/m, `$& --values images.json --wait --timeout ${HELM_TIMEOUT}`);
    const installed = await run('sh', ['-ec', withImages], { cwd: folder });
    expect(installed.code, installed.stderr).toBe(0);
    expect(await readyPods('kasm-helm', 'kasm-api')).toHaveLength(3);
    // The notes say how to read the administrator's password.
    const command = /^ *(kubectl -n kasm-helm get secret .*)$/m.exec(installed.stdout)?.[1] ?? '';
    expect(await must('sh', ['-c', command])).toMatch(/^[A-Za-z0-9]{32}$/);
    // And how to ask the database; the release is in another namespace than the pod.
    const test = /(helm test kasmdemo .*)$/m.exec(installed.stdout)?.[1] ?? '';
    expect(await must('sh', ['-c', test])).toMatch(/"outcome":"ok"/);
    await must('helm', ['uninstall', 'kasmdemo', '--keep-history', '--wait']);
    const again = /^helm install .*$/m.exec(withImages)?.[0] ?? '';
    const replaced = await run('sh', ['-ec', again], { cwd: folder });
    expect(replaced.code, replaced.stderr).toBe(0);
    expect(await psqlBundled('kasm-helm', 'SELECT count(*) FROM kasm_db.migrations')).toBe(String(SCHEMA));
    rows.push(['bundled', '--replace', 'helm', "README's commands, and again", 'as it should', seconds(installed)]);
    await must('helm', ['uninstall', 'kasmdemo']);
    await kubectl('delete', 'namespace', 'kasm-helm', '--wait');
    rmSync(folder, { recursive: true });
  });
});

describe('credentials and certificates', () => {
  it('a missing TLS Secret is named before anything starts, with the lines that make it', async () => {
    await namespace('kasm-test-certs');
    await kubectl('-n', 'kasm-test-certs', 'delete', 'secret', 'rdp-proxy-cert');
    const refused = await helm(
      'install',
      ['kasmdemo', 'kasm-single-zone', '-n', 'kasm-test-certs'],
      values('kasm-test-certs', '0.1.0'),
    );
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/TLS Secret rdp-proxy-cert .* is missing in namespace kasm-test-certs/);
    expect(refused.stderr).toMatch(
      /kubectl -n kasm-test-certs create secret tls rdp-proxy-cert --cert=tls\.crt --key=tls\.key/,
    );
    expect(await kubectl('-n', 'kasm-test-certs', 'get', 'pods,secrets', '-o', 'name')).toBe(
      'secret/nginx-ingress-cert',
    );
    await kubectl('delete', 'namespace', 'kasm-test-certs', '--wait=false');
  });
});

describe('chart kasm-db alone', () => {
  const ns = 'kasm-test-alone';
  const role = 'kasm_test_alone';
  const install = (verb: string, release: string, more: object) =>
    helm(
      verb,
      [release, 'kasm-db', '-n', ns, '--wait', '--timeout', HELM_TIMEOUT],
      merge({ image: { tag: '0.1.0' }, seed: { enabled: true } }, more),
    );

  it('makes role, database and credentials, and gives gates a login of their own', async () => {
    await namespace(ns);
    await psqlExternal(`DROP DATABASE IF EXISTS ${role} WITH (FORCE)`);
    for (const name of [role, `${role}_gate`]) await psqlExternal(`DROP ROLE IF EXISTS ${name}`);
    await secret(ns, 'admin', { username: 'postgres', password: 's3cr3t-of-postgres' });
    await secret(ns, 'gate', { password: 's3cr3t-gate' });
    await secret(ns, 'ca', { 'ca.crt': ca });
    const connection = {
      host: EXTERNAL_HOST,
      name: role,
      user: role,
      sslmode: 'verify-full',
      ca: { existingSecret: 'ca' },
    };
    const made = {
      database: connection,
      bootstrap: { enabled: true, existingSecret: 'admin', gateRole: `${role}_gate` },
      gate: { user: `${role}_gate`, existingSecret: 'gate' },
      credentials: { makeDatabasePassword: true },
      networkPolicy: { enabled: true },
    };
    const installed = await install('install', 'kasmdb', made);
    expect(installed.code, installed.stderr).toBe(0);
    expect(await psqlExternal('SELECT count(*) FROM kasm_db.migrations', role)).toBe(String(SCHEMA));
    const tested = await helm('test', ['kasmdb', '-n', ns]);
    expect(tested.code, tested.stderr + tested.stdout).toBe(0);
    // The test pod has logged in as the gates do, and can do no more.
    const [check] = (await pods(ns, MIGRATOR)).filter(({ metadata }) => metadata.name === 'kasmdb-migrate-test');
    const message = check?.status.containerStatuses?.[0]?.state.terminated?.message ?? '';
    expect(JSON.parse(message)).toMatchObject({ outcome: 'ok', database: { user: `${role}_gate` } });
    expect(await psqlExternal(`SELECT has_table_privilege('${role}_gate', 'users', 'SELECT')`, role)).toBe('f');

    const credentials = () => kubectl('-n', ns, 'get', 'secret', 'kasmdb-credentials', '-o', 'jsonpath={.data}');
    const first = await credentials();
    expect(Object.keys(JSON.parse(first))).toHaveLength(5);
    const upgraded = await install('upgrade', 'kasmdb', made);
    expect(upgraded.code, upgraded.stderr).toBe(0);
    await must('helm', ['uninstall', 'kasmdb', '-n', ns]);
    expect(await credentials()).toBe(first);

    // The same database by the URL in an operator's Secret, and by one key a value.
    await psqlExternal(`ALTER ROLE ${role} PASSWORD '${PASSWORD}'`);
    const [host, port] = [EXTERNAL_HOST, '5432'];
    const login = { username: role, password: PASSWORD, endpoint: host, port, dbname: role };
    await secret(ns, 'operator', { ...login, uri: `postgresql://${role}:${PASSWORD}@${host}:${port}/${role}` });
    await secret(ns, 'kasm-credentials', SECRETS);
    const shapes = [
      { uri: 'uri', password: '' },
      { host: 'endpoint', port: 'port', name: 'dbname', user: 'username' },
    ];
    for (const keys of shapes) {
      const again = await install(shapes.indexOf(keys) === 0 ? 'install' : 'upgrade', 'kasmdb', {
        database: { existingSecret: 'operator', keys, sslmode: 'verify-full', ca: { existingSecret: 'ca' } },
        credentials: { existingSecret: 'kasm-credentials' },
      });
      expect(again.code, again.stderr).toBe(0);
      expect((await migratorResults(ns)).at(-1)).toMatchObject({
        outcome: 'ok',
        applied: [],
        database: { host, user: role },
      });
    }
    rows.push([
      'external',
      '(none)',
      'helm',
      'chart kasm-db alone: bootstrap, gate login, Secrets of operators',
      'as it should',
      '-',
    ]);
    await kubectl('delete', 'namespace', ns, '--wait=false');
  });
});

describe('Secrets of operators', () => {
  it.each(HELMS)('%s: the values files in ci/, with Secrets of the form that each operator writes', async (program) => {
    const ns = `kasm-test-operators-${program}`;
    await external(ns);
    const [role, port] = [ns.replaceAll('-', '_'), '5432'];
    const login = { username: role, user: role, password: PASSWORD, host: EXTERNAL_HOST, port, dbname: role };
    const uri = `postgresql://${role}:${PASSWORD}@${EXTERNAL_HOST}:${port}/${role}`;
    const zalando = 'kasmapp.kasm-pg.credentials.postgresql.acid.zalan.do';
    await secret(ns, 'kasm-pg-app', { ...login, uri, 'jdbc-uri': `jdbc:${uri}`, pgpass: '*' });
    await secret(ns, 'kasm-pg-ca', { 'ca.crt': ca });
    await secret(ns, 'hippo-pguser-kasmapp', {
      ...login,
      uri,
      ...{ 'pgbouncer-host': EXTERNAL_HOST, 'pgbouncer-port': port, verifier: 'SCRAM-SHA-256$x' },
    });
    await secret(ns, 'hippo-cluster-cert', { 'ca.crt': ca, 'tls.crt': 'x', 'tls.key': 'x' });
    await secret(ns, zalando, { username: role, password: PASSWORD });
    await secret(ns, 'kasm-database', login);
    await secret(ns, 'kasm-database-ca', { 'tls-ca.pem': ca });
    await secret(ns, 'kasm-vault', { admin: 's3cr3t-a', user: 's3cr3t-u', manager: 's3cr3t-m', service: 's3cr3t-s' });
    for (const name of ['cloudnativepg', 'crunchy', 'zalando', 'external-secrets']) {
      const database = name === 'zalando' ? { database: { host: EXTERNAL_HOST, name: role } } : {};
      const installed = await helm(
        'upgrade',
        [
          ...['--install', 'kasmdb', 'kasm-db', '-n', ns, '--wait', '--timeout', HELM_TIMEOUT],
          ...['--reset-values', '-f', `kasm-db/ci/${name}-values.yaml`],
        ],
        { image: { tag: '0.1.0' }, ...database },
        program,
      );
      expect(installed.code, `${name}: ${installed.stderr}`).toBe(0);
      expect((await migratorResults(ns)).at(-1), name).toMatchObject({
        outcome: 'ok',
        database: { host: EXTERNAL_HOST, name: role, user: role },
      });
      rows.push(['external', '(none)', program, `Secrets as of ${name}`, 'as it should', seconds(installed)]);
    }
    await kubectl('delete', 'namespace', ns, '--wait=false');
  });
});

describe('Show 6: the API server accepts what every values file makes', () => {
  it.each(HELMS)('%s: kubectl apply --dry-run=server', async (program) => {
    await apply({ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'high' }, value: 1000 });
    for (const name of ['kasm-helm', 'vdi', 'elsewhere']) await namespace(name);
    await kubectl('-n', 'elsewhere', 'create', 'serviceaccount', 'migrator');
    let count = 0;
    for (const chart of ['kasm-db', 'kasm-single-zone']) {
      for (const file of readdirSync(`${CHARTS}/${chart}/ci`)) {
        const text = await must(
          program,
          ['template', 'kasmdemo', chart, '-n', 'kasm-helm', '-f', `${chart}/ci/${file}`],
          { cwd: CHARTS },
        );
        if (readFileSync(`${CHARTS}/${chart}/ci/${file}`, 'utf8').includes('mode: manual')) continue;
        const { code, stderr } = await run('kubectl', ['apply', '--dry-run=server', '-f', '-'], { input: text });
        expect(code, `${file}: ${stderr}`).toBe(0);
        expect(stderr, file).not.toMatch(/warn|unknown field|would violate/i);
        count++;
      }
    }
    rows.push(['-', '-', program, `${count} values files, --dry-run=server`, 'accepted', '-']);
    for (const name of ['kasm-helm', 'vdi', 'elsewhere']) await kubectl('delete', 'namespace', name, '--wait');
    await kubectl('delete', 'priorityclass', 'high');
  });
});
