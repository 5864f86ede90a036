/** JSON schemas of Kubernetes' kinds, as kubeconform reads them, from the OpenAPI document of a Kubernetes release. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Schema = Record<string, unknown>;

interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

const PREFIX = '#/definitions/';
/** What the document calls a string, and the API server also takes as a number. */
const NUMBERS_TOO = /\.(IntOrString|resource\.Quantity)$/;

/**
 * Where the OpenAPI document is: KASM_TEST_OPENAPI (of a cluster: `kubectl get --raw /openapi/v2`), or in a module of Kubernetes that
 * was downloaded by Go (`go mod download k8s.io/kubernetes@v1.34.4`).
 */
export function openapiFile(): string | undefined {
  if (process.env.KASM_TEST_OPENAPI) return process.env.KASM_TEST_OPENAPI;
  const modules = join(spawnSync('go', ['env', 'GOMODCACHE'], { encoding: 'utf8' }).stdout?.trim() || '/', 'k8s.io');
  if (!existsSync(modules)) return undefined;
  return readdirSync(modules)
    .filter((name) => name.startsWith('kubernetes@'))
    .map((name) => join(modules, name, 'api/openapi-spec/swagger.json'))
    .findLast(existsSync);
}

/** Strict: a name that is not known is refused. */
function strict(name: string, schema: Schema): Schema {
  if (NUMBERS_TOO.test(name)) return { ...schema, type: ['string', 'number'] };
  return schema.properties ? { ...schema, additionalProperties: false } : schema;
}

function* referencesIn(value: unknown): Generator<string> {
  if (value === null || typeof value !== 'object') return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === '$ref' && typeof inner === 'string') yield inner.slice(PREFIX.length);
    else yield* referencesIn(inner);
  }
}

/** Writes a file for each kind. @returns the -schema-location for kubeconform */
export function writeSchemas(openapi: string, folder: string): string {
  const { definitions } = JSON.parse(readFileSync(openapi, 'utf8')) as { definitions: Record<string, Schema> };
  mkdirSync(folder, { recursive: true });
  for (const [name, schema] of Object.entries(definitions)) {
    const kinds = (schema['x-kubernetes-group-version-kind'] ?? []) as GroupVersionKind[];
    if (kinds.length !== 1) continue;
    const needed: Record<string, Schema> = {};
    for (const todo = [name]; todo.length > 0; ) {
      const next = todo.pop() as string;
      if (needed[next]) continue;
      needed[next] = strict(next, definitions[next] as Schema);
      todo.push(...referencesIn(definitions[next]));
    }
    for (const { group, version, kind } of kinds) {
      const suffix = [kind, ...(group ? [group.split('.')[0]] : []), version].join('-').toLowerCase();
      writeFileSync(join(folder, `${suffix}.json`), JSON.stringify({ $ref: `${PREFIX}${name}`, definitions: needed }));
    }
  }
  return join(folder, '{{.ResourceKind}}{{.KindSuffix}}.json');
}
