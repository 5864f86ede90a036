import type { Schema } from './model.js';

/**
 * PostgreSQL before 16 writes `users.user_id` in a view of one table, later ones `user_id`. The later form is ours; what is nested is
 * written alike by all.
 */
export async function unqualifyViews(schema: Schema): Promise<Schema> {
  if (schema.views.length === 0) return schema;
  const { loadModule, parseSync } = await import('../postgres/libpg-query.js');
  await loadModule();
  const views = schema.views.map((view) => ({ ...view, definition: unqualify(view.definition, parseSync) }));
  return { ...schema, views };
}

// biome-ignore lint/suspicious/noExplicitAny: the parse tree's shape is PostgreSQL's own.
type Tree = any;

/** The query without the prefix of its only table; as it is where it has several, or where the parser doesn't know it. */
function unqualify(sql: string, parse: (sql: string) => Tree): string {
  let select: Tree;
  try {
    select = parse(sql).stmts?.[0]?.stmt?.SelectStmt;
  } catch {
    return sql;
  }
  const from = select?.fromClause ?? [];
  const [[type, item] = ['', undefined]] = Object.entries<Tree>(from[0] ?? {});
  if (from.length !== 1 || !['RangeVar', 'RangeSubselect', 'RangeFunction'].includes(type)) return sql;
  const prefix: string | undefined = item.alias?.aliasname ?? item.relname;
  if (prefix === undefined) return sql;
  const places: number[] = [];
  const { fromClause: _, withClause: __, ...rest } = select;
  collect(rest, prefix, places);
  // The parser counts bytes.
  let bytes = Buffer.from(sql, 'utf8');
  for (const place of places.sort((a, b) => b - a)) {
    const after = bytes.subarray(place).toString('utf8');
    const match = /^(?:"(?:[^"]|"")+"|[^\s."]+)\./.exec(after);
    if (match) bytes = Buffer.concat([bytes.subarray(0, place), Buffer.from(after.slice(match[0].length), 'utf8')]);
  }
  return bytes.toString('utf8');
}

/** Column references of this query itself, not of queries inside it. */
function collect(tree: Tree, prefix: string, places: number[]): void {
  if (Array.isArray(tree)) for (const item of tree) collect(item, prefix, places);
  else if (tree && typeof tree === 'object') {
    for (const [key, value] of Object.entries<Tree>(tree)) {
      if (key === 'SelectStmt') continue;
      if (key === 'ColumnRef') {
        const fields = value.fields ?? [];
        // A whole row (`users.*::text`) is none without its prefix.
        if (fields.length === 2 && fields[0]?.String?.sval === prefix && fields[1]?.String)
          places.push(value.location ?? 0);
      } else collect(value, prefix, places);
    }
  }
}
