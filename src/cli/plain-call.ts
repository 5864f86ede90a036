import { onlyCommand, withCheckCommand } from './arguments.js';
import { type Call, callOf } from './call.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import type { OptionSpec } from './spec.js';

/**
 * Reads arguments in which each option is known and given once, as a gate's are, and says of them what commander would: loading that, and
 * setting it up, takes a check longer than all else here.
 * @returns undefined when only commander can say what they mean, or what is wrong with them
 */
export function plainCall(argv: readonly string[]): Call | undefined {
  const spec = onlyCommand(argv);
  if (!spec || spec.argument) return undefined;
  const known = new Map<string, OptionSpec[0]>();
  for (const [flags] of [...GLOBAL_OPTIONS.flatMap(({ options }) => options), ...(spec.options ?? [])])
    known.set(flags.split(' ')[0] as string, flags);
  const options: Record<string, unknown> = { color: true };
  const args = withCheckCommand(argv).slice(1);
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    const flags = known.get(arg);
    if (flags === undefined) return undefined;
    known.delete(arg);
    const takes = flags.split(' ')[1];
    const next = args[i + 1];
    const given = next !== undefined && next !== '' && !next.startsWith('-');
    if (takes?.startsWith('<') && !given) return undefined;
    if (takes && given) i++;
    const negated = arg.startsWith('--no-');
    options[optionName(arg)] = takes && given ? next : !negated;
  }
  return callOf(spec, options as Call['options'], []);
}

/** `--lock-timeout` is lockTimeout, `--no-color` color. */
function optionName(flag: string): string {
  return flag.replace(/^--(no-)?/, '').replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
