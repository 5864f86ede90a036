/** chart/kasm-single-zone, rendered by the real helm. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  chartFolder,
  hasHelm,
  type Manifest,
  manifestsIn,
  podsOf,
  type RenderOptions,
  refusal as refuse,
  renderText,
} from './helm.js';

const chart = chartFolder('kasm-single-zone');
const REQUIRED = { host: 'kasm.example.com', credentials: { existingSecret: 'kasm' } };
const EXTERNAL = { ...REQUIRED, database: { bundled: false, host: 'db.example' } };
const LEGACY = { ...REQUIRED, release: '1.17.0' };

const render = (values: object, options: RenderOptions = {}): Manifest[] =>
  manifestsIn(renderText(values, { path: chart, ...options }));
const refusal = (values: object) => refuse(values, chart);
const find = (manifests: Manifest[], kind: string, name: string): Manifest =>
  manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
const names = (manifests: Manifest[], kind: string) =>
  manifests
    .filter((manifest) => manifest.kind === kind)
    .map(({ metadata }) => metadata.name as string)
    .sort();

describe.skipIf(!hasHelm)('chart kasm-single-zone', () => {
  const bundled = hasHelm ? render(REQUIRED) : [];
  const external = hasHelm ? render(EXTERNAL) : [];
  const legacy = hasHelm ? render(LEGACY) : [];

  it('deploys what a release has', () => {
    expect(names(bundled, 'Deployment')).toEqual(['kasm-api', 'kasm-manager', 'kasm-proxy', 'rdp-gateway']);
    expect(names(bundled, 'StatefulSet')).toEqual(['db', 'kasm-guac', 'rdp-https-gateway']);
    expect(names(external, 'StatefulSet')).toEqual(['kasm-guac', 'rdp-https-gateway']);
    expect(names(legacy, 'Deployment')).toEqual([
      'kasm-api',
      'kasm-manager',
      'kasm-proxy',
      'kasm-redis',
      'kasm-share',
      'rdp-gateway',
    ]);
  });

  it('puts everything into its namespace, wherever Helm keeps the release', () => {
    for (const manifests of [bundled, external, render({ ...REQUIRED, namespace: 'vdi' })]) {
      const expected = manifests === bundled || manifests === external ? 'kasm-helm' : 'vdi';
      for (const { kind, metadata } of manifests) expect(metadata.namespace, `${kind}/${metadata.name}`).toBe(expected);
    }
    const elsewhere = manifestsIn(renderText(REQUIRED, { path: chart, args: ['--namespace', 'default'] }));
    for (const { metadata } of elsewhere) expect(metadata.namespace).toBe('kasm-helm');
  });

  it('runs three API pods from the first install, which never initialise the database', () => {
    const { spec } = find(bundled, 'Deployment', 'kasm-api');
    expect(spec.replicas).toBe(3);
    // Helm's --wait counts pods that may be unavailable as ready.
    for (const { kind, spec } of bundled)
      if (kind === 'Deployment') expect(spec.strategy.rollingUpdate.maxUnavailable).toBe(0);
    const env = Object.fromEntries(
      spec.template.spec.containers[0].env.map(({ name, ...rest }: Manifest) => [name, rest.value ?? rest.valueFrom]),
    );
    expect(env).toMatchObject({
      DB_AUTO_INITIALIZE: 'false',
      POSTGRES_HOST: 'db',
      POSTGRES_PASSWORD: { secretKeyRef: { name: 'kasm', key: 'db-password' } },
      KASM_DB_SSL: 'true',
    });
    expect(find(bundled, 'PodDisruptionBudget', 'kasm-api').spec.maxUnavailable).toBe(1);
  });

  it('leaves replicas to others, to kubectl scale or to an autoscaler', () => {
    const manifests = render({
      ...REQUIRED,
      api: { autoscaling: { enabled: true, minReplicas: 2 } },
      manager: { replicas: null },
      guac: { replicas: null },
    });
    for (const [kind, name] of [
      ['Deployment', 'kasm-api'],
      ['Deployment', 'kasm-manager'],
      ['StatefulSet', 'kasm-guac'],
    ] as const)
      expect(find(manifests, kind, name).spec, name).not.toHaveProperty('replicas');
    expect(find(manifests, 'HorizontalPodAutoscaler', 'kasm-api').spec).toMatchObject({
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'kasm-api' },
      minReplicas: 2,
      maxReplicas: 10,
    });
    expect(names(bundled, 'HorizontalPodAutoscaler')).toEqual([]);
    const budgets = manifests.filter(({ kind }) => kind === 'PodDisruptionBudget');
    expect(budgets.map(({ metadata }) => metadata.name).sort()).toEqual([
      'kasm-api',
      'kasm-guac',
      'kasm-manager',
      'kasm-proxy',
    ]);
    for (const { spec } of budgets) expect(spec.unhealthyPodEvictionPolicy).toBe('AlwaysAllow');
    // It is the autoscaler's number that counts.
    const budgeted = (api: object) => names(render({ ...REQUIRED, api }), 'PodDisruptionBudget').includes('kasm-api');
    expect(budgeted({ replicas: 1, autoscaling: { enabled: true } })).toBe(true);
    expect(budgeted({ replicas: 3, autoscaling: { enabled: true, minReplicas: 1, maxReplicas: 1 } })).toBe(false);
    expect(budgeted({ replicas: 1 })).toBe(false);
  });

  it('gates exactly the pods that get the database password, with the same database', () => {
    for (const manifests of [bundled, external, legacy]) {
      for (const { owner, spec, metadata } of podsOf(manifests)) {
        const needs = spec.containers.some(
          ({ name, env = [] }: Manifest) =>
            name !== 'postgres' && env.some((variable: Manifest) => variable.name === 'POSTGRES_PASSWORD'),
        );
        const gates = (spec.initContainers ?? []).filter(({ name }: Manifest) => name === 'kasm-db-gate');
        expect(gates, owner).toHaveLength(needs ? 1 : 0);
        if (!needs) continue;
        expect(gates[0].args, owner).toEqual(['check', '--seed', '--wait', '10m']);
        expect(spec.securityContext.fsGroup, owner).toEqual(expect.any(Number));
        const of = (container: Manifest, name: string) =>
          container.env.find((variable: Manifest) => variable.name === name).value;
        for (const name of ['POSTGRES_HOST', 'POSTGRES_PORT', 'POSTGRES_DB', 'POSTGRES_USER'])
          expect(of(gates[0], name), owner).toBe(of(spec.containers[0], name));
        const deployment = manifests.find((one) => one.spec?.template?.metadata === metadata);
        expect(deployment.spec.progressDeadlineSeconds, owner).toBeGreaterThan(600);
      }
    }
  });

  it('fits on a node with two CPUs beside what Kubernetes itself runs there, about one', () => {
    const requested = (manifests: Manifest[]) =>
      manifests.reduce((sum, { kind, spec }) => {
        const pod = spec?.template?.spec;
        if (!pod || kind === 'Pod') return sum;
        const milli = (container: Manifest) => {
          const { cpu } = container.resources.requests;
          return String(cpu).endsWith('m') ? Number.parseInt(cpu, 10) : Number(cpu) * 1000;
        };
        const together = pod.containers.map(milli).reduce((a: number, b: number) => a + b, 0);
        const before = Math.max(0, ...(pod.initContainers ?? []).map(milli));
        return sum + Math.max(together, before) * (spec.replicas ?? 1);
      }, 0);
    expect(requested(bundled)).toBeLessThan(1000);
    expect(requested(legacy)).toBeLessThan(1000);
  });

  it("values-production.yaml goes together with values of one's own", () => {
    const args = ['--values', join(chart, 'values-production.yaml')];
    const manifests = render({ ...REQUIRED, database: { host: 'db.example' } }, { args });
    expect(names(manifests, 'HorizontalPodAutoscaler')).toEqual(['kasm-api']);
    expect(names(manifests, 'NetworkPolicy')).toContain('kasmdemo-migrate');
    expect(find(manifests, 'Job', 'kasmdemo-migrate')).toBeDefined();
  });

  it('hints of the migrator and the gates name values of this chart', () => {
    const env = podsOf(external).flatMap(({ spec }) =>
      [...(spec.initContainers ?? []), ...spec.containers].flatMap((container: Manifest) => container.env ?? []),
    );
    const hints = env.filter(({ name }: Manifest) => name === 'KASM_DB_HINTS').map(({ value }: Manifest) => value);
    expect(hints.length).toBeGreaterThan(1);
    expect(new Set(hints)).toEqual(new Set(['chart:kasm-db']));
  });

  it('what ends when no API answers waits for it, and says so', () => {
    for (const manifests of [bundled, external, legacy]) {
      for (const { owner, spec, metadata } of podsOf(manifests)) {
        const registers = spec.containers.flatMap(({ env = [] }: Manifest) =>
          env.filter(({ name }: Manifest) => /^API_(SCHEMA|HOSTNAME|PORT)$/.test(name)),
        );
        const waits = (spec.initContainers ?? []).filter(({ args }: Manifest) => args[0] === 'wait-for');
        expect(waits, owner).toHaveLength(registers.length > 0 ? 1 : 0);
        if (registers.length === 0) continue;
        const [schema, host, port] = registers.map(({ value }: Manifest) => value);
        expect(waits[0].args, owner).toEqual([
          'wait-for',
          `${schema}://${host}:${port}/api/__healthcheck`,
          '--timeout',
          '10m',
        ]);
        expect(waits[0].env, owner).toEqual([{ name: 'KASM_DB_TERMINATION_LOG', value: '/dev/termination-log' }]);
        const { kind, spec: workload } = manifests.find((one) => one.spec?.template?.metadata === metadata);
        if (kind === 'Deployment') expect(workload.progressDeadlineSeconds, owner).toBeGreaterThan(600);
      }
      expect(podsOf(manifests).filter(({ spec }) => spec.initContainers?.[0].args[0] === 'wait-for')).toHaveLength(3);
    }
  });

  it('migrates a bundled database by a plain Job, another one by a hook', () => {
    const job = (manifests: Manifest[]) => manifests.find(({ kind }) => kind === 'Job');
    expect(job(bundled).metadata.name).toMatch(/^kasmdemo-migrate-1-[0-9a-f]{8}$/);
    expect(job(bundled).metadata.annotations).toBeUndefined();
    expect(job(external).metadata).toMatchObject({
      name: 'kasmdemo-migrate',
      annotations: { 'helm.sh/hook': 'pre-install,pre-upgrade' },
    });
    expect(names(render({ ...REQUIRED, migrator: { mode: 'manual' } }), 'Job')).toEqual([]);
    const later = job(render({ ...REQUIRED, 'kasm-db': { image: { tag: '0.2.0' } } })).metadata.name;
    expect(later).not.toBe(job(bundled).metadata.name);
  });

  it('takes every credential from Secrets, and each key by its own name', () => {
    const manifests = render({
      ...REQUIRED,
      credentials: {
        existingSecret: 'kasm',
        keys: { serviceToken: 'svc' },
        otherSecrets: { adminPassword: 'admin', serviceToken: 'tokens' },
      },
    });
    const guac = find(manifests, 'StatefulSet', 'kasm-guac').spec.template.spec.containers[0];
    expect(guac.env[0]).toEqual({
      name: 'REGISTRATION_TOKEN',
      valueFrom: { secretKeyRef: { name: 'tokens', key: 'svc' } },
    });
    const pod = manifests.find(({ kind }) => kind === 'Job').spec.template.spec;
    const { sources } = pod.volumes.find(({ name }: Manifest) => name === 'kasm-db-secrets').projected;
    expect(sources.map(({ secret }: Manifest) => `${secret.name}/${secret.items[0].key}`)).toEqual([
      'admin/admin-password',
      'kasm/manager-token',
      'tokens/svc',
      'kasm/user-password',
    ]);
  });

  it('finds the Secret that was made by its name, also with kasm-db.fullnameOverride', () => {
    const values = {
      host: 'a.b',
      database: { bundled: false, host: 'db' },
      credentials: { otherSecrets: { databasePassword: 'pg' } },
      'kasm-db': { fullnameOverride: 'mine', seed: { enabled: false } },
    };
    const [token] = find(render(values), 'StatefulSet', 'kasm-guac').spec.template.spec.containers[0].env;
    expect(token.valueFrom.secretKeyRef.name).toBe('mine-credentials');
  });

  it('RDP over HTTPS comes by the ingress; 3389 stays inside unless asked for', () => {
    const ingress = find(bundled, 'Ingress', 'kasm-ingress').spec;
    expect(ingress.tls).toEqual([{ secretName: 'nginx-ingress-cert', hosts: ['kasm.example.com'] }]);
    expect(ingress.rules[0].http.paths.map(({ path }: Manifest) => path)).toEqual(['/']);
    expect(find(bundled, 'ConfigMap', 'kasm-proxy').data['proxy.conf']).toMatch(/remoteDesktopGateway/);
    // nginx includes every *.conf beside each other.
    for (const { kind, data } of [...bundled, ...legacy])
      if (kind === 'ConfigMap' && data.main)
        expect(Object.keys(data).filter((file) => file.endsWith('.conf'))).toHaveLength(1);
    for (const { spec } of bundled.filter(({ kind }) => kind === 'Service'))
      expect(spec.type ?? 'ClusterIP').toBe('ClusterIP');
    const open = render({ ...REQUIRED, rdpGateway: { service: { type: 'LoadBalancer' } } });
    expect(find(open, 'Service', 'rdp-gateway-external').spec).toMatchObject({ type: 'LoadBalancer' });
    expect(find(open, 'Service', 'rdp-gateway-external').spec.ports.map(({ port }: Manifest) => port)).toEqual([3389]);
  });

  it('connection proxies tell a name that nginx can look up', () => {
    const env = (kind: string, name: string, variable: string) =>
      find(bundled, kind, name).spec.template.spec.containers[0].env.find((one: Manifest) => one.name === variable)
        .value;
    expect(env('StatefulSet', 'kasm-guac', 'SERVER_ADDRESS')).toBe('$(POD_NAME).kasm-guac.kasm-helm.svc.cluster.local');
    expect(env('StatefulSet', 'rdp-https-gateway', 'SERVER_HOSTNAME')).toBe(
      '$(POD_NAME).rdp-https-gateway.kasm-helm.svc.cluster.local',
    );
    for (const name of ['kasm-guac', 'rdp-https-gateway'])
      expect(find(bundled, 'Service', name).spec.clusterIP).toBe('None');
  });

  describe('connectionProxy: the next layout of the vendor', () => {
    const TOGETHER = { ...REQUIRED, connectionProxy: { enabled: true, replicas: 2 } };
    const together = hasHelm ? render({ ...TOGETHER, networkPolicy: { enabled: true } }) : [];
    const containers = (manifests: Manifest[]): Manifest[] =>
      find(manifests, 'StatefulSet', 'connection-proxy').spec.template.spec.containers;
    const config = (manifests: Manifest[]): string =>
      find(manifests, 'ConfigMap', 'connection-proxy').data['connection-proxy.conf'];

    it('is off by default, and replaces the workloads of guac and both RDP gateways', () => {
      expect(find(bundled, 'StatefulSet', 'connection-proxy')).toBeUndefined();
      expect(names(together, 'StatefulSet')).toEqual(['connection-proxy', 'db']);
      expect(names(together, 'Deployment')).toEqual(['kasm-api', 'kasm-manager', 'kasm-proxy']);
      expect(names(together, 'Service')).toEqual(['connection-proxy', 'db', 'kasm-api', 'kasm-manager', 'kasm-proxy']);
      expect(find(together, 'StatefulSet', 'connection-proxy').spec.replicas).toBe(2);
      expect(names(together, 'PodDisruptionBudget')).toContain('connection-proxy');
    });

    it('has the same containers, which tell the name of their pod and the one port of its nginx', () => {
      const apart = (kind: string, name: string) => find(bundled, kind, name).spec.template.spec.containers[0];
      const was = [
        apart('StatefulSet', 'kasm-guac'),
        apart('Deployment', 'rdp-gateway'),
        apart('StatefulSet', 'rdp-https-gateway'),
      ];
      const now = containers(together);
      expect(now.map(({ name }) => name)).toEqual([...was.map(({ name }) => name), 'nginx']);
      for (const [index, before] of was.entries()) {
        const { env, ...rest } = now[index];
        const { env: envBefore, ...restBefore } = before;
        expect(rest).toEqual(restBefore);
        expect(env.map(({ name }: Manifest) => name)).toEqual(envBefore.map(({ name }: Manifest) => name));
        const value = (name: RegExp) => env.find((variable: Manifest) => name.test(variable.name)).value;
        expect(value(/^SERVER_PORT$/)).toBe('8443');
        expect(value(/^SERVER_(ADDRESS|HOSTNAME)$/)).toBe('$(POD_NAME).connection-proxy.kasm-helm.svc.cluster.local');
      }
      const service = find(together, 'Service', 'connection-proxy').spec;
      expect(service).toMatchObject({ clusterIP: 'None', ports: [{ port: 8443 }] });
      for (const path of ['/guac/', '/rdp-gateway/', 'remoteDesktopGateway', 'location = /__healthcheck'])
        expect(config(together)).toContain(path);
    });

    it('leaves out what is not enabled', () => {
      const one = render({ ...TOGETHER, guac: { enabled: false }, rdpGateway: { enabled: false } });
      expect(containers(one).map(({ name }) => name)).toEqual(['rdp-https-gateway', 'nginx']);
      expect(find(one, 'StatefulSet', 'connection-proxy').spec).not.toHaveProperty('volumeClaimTemplates');
      expect(config(one)).not.toMatch(/upstream guac|rdp-gateway\/ \{/);
      const off = { enabled: false };
      const none = render({ ...TOGETHER, guac: off, rdpGateway: off, rdpHttpsGateway: off });
      expect(none.filter(({ metadata }) => metadata.name === 'connection-proxy')).toEqual([]);
    });

    it('opens port 3389 of each pod by a Service of its own, when asked', () => {
      const open = render({
        ...TOGETHER,
        rdpGateway: { service: { type: 'NodePort' } },
        networkPolicy: { enabled: true },
      });
      for (const number of [0, 1])
        expect(find(open, 'Service', `connection-proxy-rdp-${number}`).spec).toMatchObject({
          type: 'NodePort',
          selector: { 'statefulset.kubernetes.io/pod-name': `connection-proxy-${number}` },
          ports: [{ port: 3389 }],
        });
      const policies = open
        .filter(({ kind, spec }) => kind === 'NetworkPolicy' && spec.podSelector.matchLabels)
        .filter(({ spec }) => spec.podSelector.matchLabels['app.kubernetes.io/name'] === 'connection-proxy');
      expect(policies.map(({ spec }) => spec.ingress[0].ports[0].port).sort()).toEqual([3389, 8443]);
      const api = find(open, 'NetworkPolicy', 'kasm-api').spec.ingress[0].from[0].podSelector.matchExpressions[0];
      expect(api.values).toContain('connection-proxy');
    });
  });

  it('extraEnv stands in the place of a variable with the same name', () => {
    const extraEnv = [{ name: 'SERVER_HOSTNAME', value: 'rdp.example.com' }];
    const { env } = find(render({ ...REQUIRED, rdpGateway: { extraEnv } }), 'Deployment', 'rdp-gateway').spec.template
      .spec.containers[0];
    expect(env.filter(({ name }: Manifest) => name === 'SERVER_HOSTNAME')).toEqual(extraEnv);
  });

  it('a bundled database keeps its data and speaks only TLS to others', () => {
    const { spec } = find(bundled, 'StatefulSet', 'db');
    expect(spec.persistentVolumeClaimRetentionPolicy).toEqual({ whenDeleted: 'Retain', whenScaled: 'Retain' });
    const hba = find(bundled, 'ConfigMap', 'db').data['pg_hba.conf'];
    const remote = hba.split('\n').filter((line: string) => /^host/.test(line) && !/127\.0\.0\.1|::1/.test(line));
    expect(remote).toEqual(['hostssl  all       all   all      scram-sha-256']);
  });

  it('pull Secrets, registry, scheduling, labels and annotations reach every pod and object', () => {
    const manifests = render({
      ...REQUIRED,
      release: '1.17.0',
      networkPolicy: { enabled: true },
      global: { imageRegistry: 'mirror.example:5000/kasm', imagePullSecrets: ['everywhere', { name: 'as-a-map' }] },
      image: { pullSecrets: ['vendor'] },
      'kasm-db': { image: { pullSecrets: ['ours', 'vendor'] } },
      commonLabels: { team: 'vdi' },
      commonAnnotations: { note: 'by hand' },
      podLabels: { mesh: 'out', team: 'desktops' },
      podAnnotations: { 'sidecar.istio.io/inject': 'false' },
      nodeSelector: { pool: 'kasm' },
      tolerations: [{ key: 'dedicated', operator: 'Exists' }],
      affinity: { podAffinity: {} },
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }],
      hostAliases: [{ ip: '10.0.0.1', hostnames: ['db'] }],
      dnsConfig: { options: [{ name: 'ndots', value: '1' }] },
      runtimeClassName: 'gvisor',
      extraObjects: [
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: '{{ .Release.Name }}-more', namespace: '{{ .Values.namespace }}' },
        },
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: text, namespace: kasm-helm}',
      ],
    });
    const pods = podsOf(manifests);
    // proxy, API, manager, guac, two gateways, share, Redis, PostgreSQL, migrator, test.
    expect(pods).toHaveLength(11);
    for (const { owner, spec, metadata } of pods) {
      expect(spec.imagePullSecrets.map(({ name }: Manifest) => name).sort(), owner).toEqual([
        'as-a-map',
        'everywhere',
        'ours',
        'vendor',
      ]);
      expect(spec, owner).toMatchObject({
        nodeSelector: { pool: 'kasm' },
        tolerations: [{ key: 'dedicated' }],
        affinity: { podAffinity: {} },
        topologySpreadConstraints: [{ topologyKey: 'zone' }],
        hostAliases: [{ ip: '10.0.0.1' }],
        dnsConfig: { options: [{ name: 'ndots' }] },
        runtimeClassName: 'gvisor',
      });
      expect(metadata.labels, owner).toMatchObject({ team: 'desktops', mesh: 'out' });
      expect(metadata.annotations, owner).toMatchObject({ note: 'by hand', 'sidecar.istio.io/inject': 'false' });
      for (const { image } of [...(spec.initContainers ?? []), ...spec.containers])
        expect(image, owner).toMatch(/^mirror\.example:5000\/kasm\//);
    }
    for (const { kind, metadata, spec } of manifests.filter(({ metadata }) => !/more$|^text$/.test(metadata.name))) {
      if (kind !== 'Pod') expect(metadata.labels, `${kind}/${metadata.name}`).toMatchObject({ team: 'vdi' });
      expect(metadata.annotations, `${kind}/${metadata.name}`).toMatchObject({ note: 'by hand' });
      expect(spec?.selector?.matchLabels ?? {}).not.toHaveProperty('team');
    }
    expect(names(manifests, 'ConfigMap')).toEqual(expect.arrayContaining(['kasmdemo-more', 'text']));
  });

  it('network policies let in what is needed and nothing else', () => {
    const manifests = render({ ...REQUIRED, networkPolicy: { enabled: true } });
    const from = (name: string) =>
      find(manifests, 'NetworkPolicy', name).spec.ingress[0].from?.[0].podSelector.matchExpressions[0].values;
    expect(from('db')).toEqual(['kasm-api', 'kasm-manager', 'kasm-share', 'kasm-db']);
    expect(from('kasm-proxy')).toBeUndefined();
    // Each pod that listens is somebody's target.
    const targets = manifests
      .filter(({ kind }) => kind === 'NetworkPolicy')
      .map(({ spec }) => spec.podSelector.matchLabels['app.kubernetes.io/name']);
    const listening = podsOf(manifests)
      .filter(({ spec }) => spec.containers.some(({ ports }: Manifest) => ports))
      .map(({ metadata }) => metadata.labels['app.kubernetes.io/name']);
    expect([...new Set(listening)].sort()).toEqual([...new Set(targets)].sort());
  });

  it.each<[string, object, RegExp]>([
    ['no host', {}, /set host to the public name/],
    ['a URL for a host', { ...REQUIRED, host: 'https://kasm.example.com' }, /does not match pattern/],
    ['a typo', { ...REQUIRED, namspace: 'x' }, /'namspace' not allowed/],
    ['a typo in the values of kasm-db', { ...REQUIRED, 'kasm-db': { gate: { await: '5m' } } }, /'await' not allowed/],
    [
      'the wrong place for the database',
      { ...REQUIRED, 'kasm-db': { database: { host: 'db' } } },
      /set database\.host, not kasm-db/,
    ],
    ...[{ port: 5433 }, { name: 'k' }, { user: 'u' }, { sslmode: 'disable' }, { ca: { existingSecret: 'a' } }].map(
      (database): [string, object, RegExp] => [
        `the wrong place for the database's ${Object.keys(database)}`,
        { ...EXTERNAL, 'kasm-db': { database } },
        new RegExp(`set database\\.${Object.keys(database)}, not kasm-db\\.database`),
      ],
    ),
    [
      'the wrong place for a key',
      { ...REQUIRED, 'kasm-db': { database: { keys: { host: 'h' } } } },
      /set database\.keys/,
    ],
    [
      'the wrong place for the key of a credential',
      { ...REQUIRED, 'kasm-db': { credentials: { keys: { adminPassword: 'a' } } } },
      /set credentials\.keys\.adminPassword/,
    ],
    ['the wrong place for the namespace', { ...REQUIRED, global: { namespace: 'vdi' } }, /set namespace, not global/],
    ['a port for the bundled database', { ...REQUIRED, database: { port: 5433 } }, /the bundled one has 5432/],
    ['no TLS for the bundled database', { ...REQUIRED, database: { sslmode: 'disable' } }, /with TLS only/],
    [
      'public CAs for the bundled database',
      { ...REQUIRED, database: { sslmode: 'verify-full' } },
      /needs database\.ca/,
    ],
    ['values of kasm-db left empty', { ...REQUIRED, 'kasm-db': null }, /`kasm-db:` is not left empty/],
    ["the charts' own labels", { ...REQUIRED, commonLabels: { 'app.kubernetes.io/name': 'x' } }, /is set by the chart/],
    ['an image in capitals', { ...REQUIRED, api: { image: 'Kasm:1' } }, /'\/api\/image': 'Kasm:1' does not match/],
    [
      'the wrong place for the mode',
      { ...REQUIRED, 'kasm-db': { migrator: { mode: 'job' } } },
      /set migrator\.mode, not/,
    ],
    ['an address for a name', { ...REQUIRED, host: '10.0.0.1' }, /10\.0\.0\.1: .*an ingress knows names only/],
    ['capitals in a name', { ...REQUIRED, altHosts: ['Kasm.Example.com'] }, /must be in small letters/],
    ['an image left empty', { ...REQUIRED, manager: { image: null } }, /missing property 'image'/],
    [
      "no key of the database's password",
      { ...EXTERNAL, database: { bundled: false, host: 'db', existingSecret: 'pg', keys: { password: '' } } },
      /'\/database\/keys\/password': '' does not match/,
    ],
    ['both databases', { ...REQUIRED, database: { host: 'db' } }, /set database\.bundled to false/],
    ['no database', { ...REQUIRED, database: { bundled: false } }, /set database\.host/],
    ['a hook for a bundled database', { ...REQUIRED, migrator: { mode: 'hook' } }, /would wait for a bundled database/],
    [
      'a bundled database without credentials',
      { host: 'a.b' },
      /--from-literal=db-password="\$\(openssl rand -hex 16\)".*service-token/,
    ],
    [
      'a gate that waits longer than its Deployment may',
      { ...REQUIRED, 'kasm-db': { gate: { wait: '1h' } } },
      /progressDeadlineSeconds \(900\) must be longer than kasm-db\.gate\.wait \(1h\)/,
    ],
    ['the next layout for an older release', { ...LEGACY, connectionProxy: { enabled: true } }, /is for images after/],
    [
      'Services for an unknown number of pods',
      {
        ...REQUIRED,
        connectionProxy: { enabled: true, replicas: null },
        rdpGateway: { service: { type: 'LoadBalancer' } },
      },
      /connectionProxy\.replicas is empty/,
    ],
    ['several guac pods behind one Service', { ...LEGACY, guac: { replicas: 2 } }, /guac\.replicas must be 1/],
  ])('refuses %s', (_, values, message) => {
    expect(refusal(values)).toMatch(message);
  });

  it('installs from a fresh clone, without helm dependency build', () => {
    expect(lstatSync(join(chart, 'charts/kasm-db')).isSymbolicLink()).toBe(true);
    const clone = mkdtempSync(join(tmpdir(), 'kasm-db-clone-'));
    try {
      // As git makes it: links stay links.
      cpSync(chartFolder(''), join(clone, 'chart'), { recursive: true, verbatimSymlinks: true });
      const listed = execFileSync('helm', ['dependency', 'list', 'kasm-single-zone'], {
        cwd: join(clone, 'chart'),
        encoding: 'utf8',
      });
      expect(listed).toMatch(/kasm-db\s+0\.1\.0\s+file:\/\/\.\.\/kasm-db\s+unpacked/);
      const command = ['install', '--replace', 'kasmdemo', 'kasm-single-zone', '--dry-run=client', '--values', '-'];
      const { status, stderr } = spawnSync('helm', [...command, '--kubeconfig', '/nonexistent'], {
        cwd: join(clone, 'chart'),
        input: JSON.stringify(REQUIRED),
        encoding: 'utf8',
      });
      // Without a cluster it gets as far as asking for one.
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(/cluster unreachable|no such file|connection refused/i),
      ]);
    } finally {
      rmSync(clone, { recursive: true });
    }
  });
});
