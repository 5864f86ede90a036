import * as z from 'zod';
import { EXIT_CODES, type Outcome } from '../app/errors.js';
import type { Result } from './result.js';

const text = z.string();
const texts = z.array(text);
const whole = z.number().int();
const line = whole.min(1);
const outcome = z.enum(Object.keys(EXIT_CODES) as [Outcome, ...Outcome[]]);

const holder = z.object({
  pid: whole,
  applicationName: text,
  clientAddr: text.nullable(),
  connectedSeconds: z.number().nullable(),
});

const blocker = z.strictObject({
  pid: whole,
  applicationName: text,
  clientAddr: text.nullable(),
  state: text.nullable(),
  querySeconds: z.number().nullable(),
  transactionSeconds: z.number().nullable(),
  relation: text.nullable(),
  wanted: text,
  held: text.nullable(),
  kind: z
    .enum([
      ...(['prepared transaction', 'autovacuum', 'wraparound autovacuum', 'vacuum', 'index build'] as const),
      ...(['dump', 'replication', 'logical decoding', 'subscription'] as const),
    ])
    .optional(),
  detail: text.optional(),
});

const difference = z.strictObject({
  change: z.enum(['missing', 'extra', 'changed']),
  object: text,
  group: text,
  property: text.optional(),
  expected: text.optional(),
  actual: text.optional(),
});

const applied = z.array(
  z.strictObject({
    name: text,
    ms: whole,
    locks: z.array(z.strictObject({ relation: text, mode: text })).optional(),
  }),
);

/** Fields that not every result has. */
const some = z
  .object({
    database: z.strictObject({
      host: text,
      port: whole,
      name: text,
      user: text,
      serverVersion: text.optional(),
      connection: z.enum(['direct', 'pooled']).optional(),
    }),
    target: text,
    current: text,
    applied,
    pending: texts,
    losses: z.array(z.strictObject({ table: text, column: text.optional(), rows: whole })),
    rolledBack: z.array(z.strictObject({ name: text, ms: whole })),
    toRollBack: texts,
    repairs: z.array(
      z.strictObject({ what: z.enum(['applied', 'pending', 'checksum', 'index', 'restart']), name: text, text }),
    ),
    unknown: texts,
    changed: texts,
    lock: z.strictObject({
      waitedMs: whole,
      holder: holder.optional(),
      blockers: z.array(blocker).optional(),
      cancelled: z.array(blocker).optional(),
    }),
    run: z.strictObject({
      phase: z.enum(['migrate', 'seed', 'done', 'failed', 'died']),
      rollback: z.literal(true).optional(),
      startedAt: text,
      by: text,
      current: text.optional(),
      done: whole,
      total: whole,
      error: text.optional(),
    }),
    seed: z.strictObject({
      inserted: whole,
      updated: whole,
      unchanged: whole,
      kept: whole,
      credentials: z.array(
        z.strictObject({
          key: text,
          action: z.enum(['set', 'unchanged', 'changed', 'kept', 'rotated', 'absent']),
        }),
      ),
    }),
    once: z.strictObject({
      name: text,
      ran: z.boolean(),
      exitCode: whole.optional(),
      signal: text.optional(),
      ms: whole.optional(),
    }),
    plainText: texts,
    encrypted: texts,
    checks: z.array(
      z.strictObject({
        name: text,
        state: z.enum(['ok', 'warning', 'failed']),
        text,
        fix: text.optional(),
        code: outcome.optional(),
      }),
    ),
    differences: z.array(difference),
    accepted: z.array(difference),
    others: z.array(difference),
    added: texts,
    fixSql: text,
    findings: z.array(z.strictObject({ rule: text, file: text, line, message: text, why: text, safe: text })),
    locks: z.array(
      z.strictObject({
        migration: text,
        line,
        statement: text,
        table: text,
        mode: text,
        rewrite: z.enum(['no', 'yes', 'maybe']),
        fresh: z.literal(true).optional(),
      }),
    ),
    sql: z.array(z.strictObject({ migration: text, file: text, sql: text })),
    rehearsal: z.strictObject({ applied, compared: z.boolean() }),
    page: text,
    warnings: texts,
    error: z.strictObject({
      code: outcome,
      message: text,
      hint: text.optional(),
      sqlstate: text.length(5).optional(),
      detail: text.optional(),
      context: text.optional(),
      migration: text.optional(),
      file: text.optional(),
      line: line.optional(),
      statement: text.optional(),
    }),
  })
  .partial().shape;

/** The JSON contract. Not loaded at run time: the build makes result.schema.json from it, and tests hold every output against it. */
export const resultSchema = z.strictObject({
  command: text,
  outcome,
  exitCode: whole.min(0).max(255),
  version: text,
  durationMs: whole,
  ...some,
}) satisfies z.ZodType<Result>;

/** The JSON Schema of a result, as it ships with the package. */
export function resultJsonSchema(): object {
  return { title: 'kasm-db result', ...z.toJSONSchema(resultSchema) };
}
