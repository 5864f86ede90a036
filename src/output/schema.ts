import * as z from 'zod';
import { EXIT_CODES, type Outcome } from '../app/errors.js';
import type { Result } from './result.js';

const outcomes = Object.keys(EXIT_CODES) as [Outcome, ...Outcome[]];
const holder = z.object({
  pid: z.number().int(),
  applicationName: z.string(),
  clientAddr: z.string().nullable(),
  connectedSeconds: z.number().nullable(),
});

const blocker = z.strictObject({
  pid: z.number().int(),
  applicationName: z.string(),
  clientAddr: z.string().nullable(),
  state: z.string().nullable(),
  querySeconds: z.number().nullable(),
  transactionSeconds: z.number().nullable(),
  relation: z.string().nullable(),
  wanted: z.string(),
  held: z.string().nullable(),
  kind: z
    .enum([
      ...(['prepared transaction', 'autovacuum', 'wraparound autovacuum', 'vacuum', 'index build'] as const),
      ...(['dump', 'replication', 'logical decoding', 'subscription'] as const),
    ])
    .optional(),
  detail: z.string().optional(),
});

const difference = z.strictObject({
  change: z.enum(['missing', 'extra', 'changed']),
  object: z.string(),
  group: z.string(),
  property: z.string().optional(),
  expected: z.string().optional(),
  actual: z.string().optional(),
});

const applied = z.array(
  z.strictObject({
    name: z.string(),
    ms: z.number().int(),
    locks: z.array(z.strictObject({ relation: z.string(), mode: z.string() })).optional(),
  }),
);

/** The JSON contract. Not loaded at run time: the build makes result.schema.json from it, and tests hold every output against it. */
export const resultSchema = z.strictObject({
  command: z.string(),
  outcome: z.enum(outcomes),
  exitCode: z.number().int().min(0).max(255),
  version: z.string(),
  database: z
    .strictObject({
      host: z.string(),
      port: z.number().int(),
      name: z.string(),
      user: z.string(),
      serverVersion: z.string().optional(),
      connection: z.enum(['direct', 'pooled']).optional(),
    })
    .optional(),
  target: z.string().optional(),
  current: z.string().optional(),
  applied: applied.optional(),
  pending: z.array(z.string()).optional(),
  losses: z
    .array(z.strictObject({ table: z.string(), column: z.string().optional(), rows: z.number().int() }))
    .optional(),
  rolledBack: z.array(z.strictObject({ name: z.string(), ms: z.number().int() })).optional(),
  toRollBack: z.array(z.string()).optional(),
  repairs: z
    .array(
      z.strictObject({
        what: z.enum(['applied', 'pending', 'checksum', 'index', 'restart']),
        name: z.string(),
        text: z.string(),
      }),
    )
    .optional(),
  unknown: z.array(z.string()).optional(),
  changed: z.array(z.string()).optional(),
  lock: z
    .strictObject({
      waitedMs: z.number().int(),
      holder: holder.optional(),
      blockers: z.array(blocker).optional(),
      cancelled: z.array(blocker).optional(),
    })
    .optional(),
  run: z
    .strictObject({
      phase: z.enum(['migrate', 'seed', 'done', 'failed', 'died']),
      rollback: z.literal(true).optional(),
      startedAt: z.string(),
      by: z.string(),
      current: z.string().optional(),
      done: z.number().int(),
      total: z.number().int(),
      error: z.string().optional(),
    })
    .optional(),
  seed: z
    .strictObject({
      inserted: z.number().int(),
      updated: z.number().int(),
      unchanged: z.number().int(),
      kept: z.number().int(),
      credentials: z.array(
        z.strictObject({
          key: z.string(),
          action: z.enum(['set', 'unchanged', 'changed', 'kept', 'rotated', 'absent']),
        }),
      ),
    })
    .optional(),
  once: z
    .strictObject({
      name: z.string(),
      ran: z.boolean(),
      exitCode: z.number().int().optional(),
      signal: z.string().optional(),
      ms: z.number().int().optional(),
    })
    .optional(),
  plainText: z.array(z.string()).optional(),
  encrypted: z.array(z.string()).optional(),
  checks: z
    .array(
      z.strictObject({
        name: z.string(),
        state: z.enum(['ok', 'warning', 'failed']),
        text: z.string(),
        fix: z.string().optional(),
        code: z.enum(outcomes).optional(),
      }),
    )
    .optional(),
  differences: z.array(difference).optional(),
  accepted: z.array(difference).optional(),
  others: z.array(difference).optional(),
  added: z.array(z.string()).optional(),
  fixSql: z.string().optional(),
  findings: z
    .array(
      z.strictObject({
        rule: z.string(),
        file: z.string(),
        line: z.number().int().min(1),
        message: z.string(),
        why: z.string(),
        safe: z.string(),
      }),
    )
    .optional(),
  locks: z
    .array(
      z.strictObject({
        migration: z.string(),
        line: z.number().int().min(1),
        statement: z.string(),
        table: z.string(),
        mode: z.string(),
        rewrite: z.enum(['no', 'yes', 'maybe']),
        fresh: z.literal(true).optional(),
      }),
    )
    .optional(),
  sql: z.array(z.strictObject({ migration: z.string(), file: z.string(), sql: z.string() })).optional(),
  rehearsal: z.strictObject({ applied, compared: z.boolean() }).optional(),
  page: z.string().optional(),
  warnings: z.array(z.string()).optional(),
  durationMs: z.number().int(),
  error: z
    .strictObject({
      code: z.enum(outcomes),
      message: z.string(),
      hint: z.string().optional(),
      sqlstate: z.string().length(5).optional(),
      detail: z.string().optional(),
      context: z.string().optional(),
      migration: z.string().optional(),
      file: z.string().optional(),
      line: z.number().int().min(1).optional(),
      statement: z.string().optional(),
    })
    .optional(),
}) satisfies z.ZodType<Result>;

/** The JSON Schema of a result, as it ships with the package. */
export function resultJsonSchema(): object {
  return { title: 'kasm-db result', ...z.toJSONSchema(resultSchema) };
}
