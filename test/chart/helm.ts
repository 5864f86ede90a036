/** Charts rendered by the real helm: 3 and, where one is there, 4. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type Document, parseAllDocuments } from 'yaml';

/** KASM_TEST_HELM names them, as in `helm,helm4`. */
export const HELMS = (process.env.KASM_TEST_HELM ?? 'helm,helm4')
  .split(',')
  .filter((program) => spawnSync(program, ['version', '--short']).status === 0);
export const hasHelm = HELMS.length > 0;
if (!hasHelm) console.warn('SKIPPED: test/chart needs helm on the PATH; the charts are NOT tested by this run.');

export const chartFolder = (name: string) => fileURLToPath(new URL(`../../chart/${name}`, import.meta.url));

/** The values files that users find as examples, and that every test of all values goes through. */
export const valuesFiles = (chart: string): string[] =>
  readdirSync(`${chartFolder(chart)}/ci`).map((file) => `${chartFolder(chart)}/ci/${file}`);

// biome-ignore lint/suspicious/noExplicitAny: manifests are read as Kubernetes reads them, field by field
export type Manifest = any;

export interface RenderOptions {
  release?: string;
  path?: string;
  args?: string[];
  program?: string;
}

export function helm(args: string[], values: object | undefined, program = HELMS[0] ?? 'helm') {
  const { KUBECONFIG: _, ...env } = process.env;
  const result = spawnSync(program, [...args, ...(values ? ['--values', '-'] : [])], {
    ...(values ? { input: JSON.stringify(values) } : {}),
    encoding: 'utf8',
    // No cluster: what renders must not depend on one that happens to be there.
    env: { ...env, KUBECONFIG: '/nonexistent' },
  });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** The manifests in helm's output, as objects. YAML 1.1, as Helm and Kubernetes read it. */
export function manifestsIn(text: string): Manifest[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => {
      const { errors } = document as Document;
      if (errors.length > 0) throw errors[0];
      return (document as Document).toJS();
    })
    .filter(Boolean);
}

/** `helm template` of a chart. @throws Error with helm's words */
export function renderText(values: object | undefined, options: RenderOptions & { path: string }): string {
  const { release = 'kasmdemo', path, args = [], program } = options;
  const result = helm(['template', release, path, '--namespace', 'kasm-helm', ...args], values, program);
  if (result.status !== 0) throw new Error(result.stderr);
  return result.stdout;
}

export function refusal(values: object, path: string): string {
  const { status, stderr } = helm(['template', 'kasmdemo', path, '--namespace', 'kasm-helm'], values);
  expect(status).not.toBe(0);
  return stderr;
}

/** Environment of a container; every value is there as text, none from a Secret. */
export const envOf = (container: Manifest): Record<string, string> => {
  for (const variable of container.env) expect(typeof variable.value).toBe('string');
  return Object.fromEntries(container.env.map((variable: Manifest) => [variable.name, variable.value]));
};

/** Pods that manifests make, by `kind/name`. */
export function podsOf(manifests: Manifest[]): { owner: string; spec: Manifest; metadata: Manifest }[] {
  return manifests.flatMap(({ kind, metadata, spec }) => {
    if (kind === 'Pod') return [{ owner: `Pod/${metadata.name}`, spec, metadata }];
    const template = spec?.template ?? spec?.jobTemplate?.spec.template;
    return template ? [{ owner: `${kind}/${metadata.name}`, spec: template.spec, metadata: template.metadata }] : [];
  });
}

export const RESTRICTED = {
  runAsNonRoot: true,
  runAsUser: 65532,
  runAsGroup: 65532,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/** What the restricted Pod Security Standard demands of a pod, said here once more and apart from the charts. @returns what is wrong */
export function notRestricted({ spec }: { spec: Manifest }): string[] {
  const wrong: string[] = [];
  const pod = spec.securityContext ?? {};
  if (spec.hostNetwork || spec.hostPID || spec.hostIPC) wrong.push('host namespaces');
  for (const volume of spec.volumes ?? []) {
    const [kind] = Object.keys(volume).filter((key) => key !== 'name');
    if (
      !['configMap', 'emptyDir', 'projected', 'secret', 'downwardAPI', 'persistentVolumeClaim', 'csi'].includes(
        kind ?? '',
      )
    )
      wrong.push(`volume ${volume.name}: ${kind}`);
  }
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    const own = container.securityContext ?? {};
    if (own.allowPrivilegeEscalation !== false) wrong.push(`${container.name}: allowPrivilegeEscalation`);
    if (own.privileged) wrong.push(`${container.name}: privileged`);
    if (!own.capabilities?.drop?.includes('ALL') || own.capabilities?.add)
      wrong.push(`${container.name}: capabilities`);
    if ((own.runAsNonRoot ?? pod.runAsNonRoot) !== true) wrong.push(`${container.name}: runAsNonRoot`);
    if ((own.runAsUser ?? pod.runAsUser) === 0) wrong.push(`${container.name}: runAsUser 0`);
    if ((own.seccompProfile ?? pod.seccompProfile)?.type !== 'RuntimeDefault') wrong.push(`${container.name}: seccomp`);
    for (const port of container.ports ?? []) if (port.hostPort) wrong.push(`${container.name}: hostPort`);
  }
  return wrong;
}

/** Where a secret could stand readable. Values named like one must come from a Secret or from a file. @returns what is wrong */
export function readableSecrets(manifests: Manifest[]): string[] {
  const wrong: string[] = [];
  for (const { kind, metadata, data } of manifests) {
    if (kind === 'ConfigMap') {
      for (const [key, text] of Object.entries(data ?? {})) {
        const found = /^\s*"?[\w-]*(password|token|secret)"?\s*[:=]\s*(?!["']?["']?\s*$|\$|<|null|off|on\b)\S+/im.exec(
          String(text),
        );
        if (found) wrong.push(`ConfigMap ${metadata.name}, ${key}: ${found[0]}`);
      }
    }
  }
  for (const { owner, spec } of podsOf(manifests)) {
    for (const { name, args = [], command = [], env = [], volumeMounts = [] } of [
      ...(spec.initContainers ?? []),
      ...spec.containers,
    ]) {
      for (const text of [...args, ...command])
        if (/:\/\/[^/\s:@]+:[^@\s]+@|(?<!-)(pass|token|secret)[\w-]*=(?!"?\$)/i.test(text))
          wrong.push(`${owner} ${name}: ${text}`);
      for (const variable of env) {
        if (/PASS|TOKEN|SECRET|_KEY$/.test(variable.name) && 'value' in variable && !/_(FILE|DIR)$/.test(variable.name))
          wrong.push(`${owner} ${name}: ${variable.name}`);
        if (/:\/\/[^/\s:@]+:[^@\s]+@/.test(variable.value ?? '')) wrong.push(`${owner} ${name}: ${variable.name}`);
      }
      for (const { mountPath, subPath } of volumeMounts)
        if (subPath && /kasm-db|secret|cert/.test(mountPath)) wrong.push(`${owner} ${name}: subPath ${mountPath}`);
    }
    for (const volume of spec.volumes ?? []) {
      const mode = volume.secret?.defaultMode ?? (volume.projected ? volume.projected.defaultMode : undefined);
      if ((volume.secret || volume.projected) && mode !== 0o440) wrong.push(`${owner}: mode of ${volume.name}`);
    }
  }
  return wrong;
}
