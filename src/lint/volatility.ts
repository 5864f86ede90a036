import { find, type Node, nameOfParts, stringsIn } from './tree.js';

/** Functions whose value is the same for every row of a statement, so that ADD COLUMN … DEFAULT stores it once (PostgreSQL 11 and later). */
const STABLE = new Set(
  `now transaction_timestamp statement_timestamp current_setting current_schema current_database session_user to_timestamp to_date date_trunc
  timezone lower upper initcap concat md5 sha256 encode decode length btrim ltrim rtrim replace left right repeat coalesce nullif greatest least
  abs round floor ceil make_interval make_date make_timestamp make_timestamptz jsonb_build_object jsonb_build_array json_build_object
  json_build_array to_json to_jsonb array_fill string_to_array inet_client_addr`.split(/\s+/),
);
/** Known to differ from row to row. */
const VOLATILE = new Set(
  `random random_normal gen_random_uuid uuidv4 uuidv7 uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 clock_timestamp timeofday nextval
  setseed gen_random_bytes gen_salt txid_current pg_backend_pid`.split(/\s+/),
);

/** Does an expression differ from row to row? `maybe`: it calls what we don't know. */
export function volatility(expression: Node): 'stable' | 'volatile' | 'maybe' {
  const names = find(expression, 'FuncCall').map((call) =>
    nameOfParts(stringsIn(call.funcname)).replace(/^pg_catalog\./, ''),
  );
  if (names.some((name) => VOLATILE.has(name.replace(/^.*\./, '')))) return 'volatile';
  return names.every((name) => STABLE.has(name)) ? 'stable' : 'maybe';
}
