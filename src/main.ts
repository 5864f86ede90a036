import { EXIT_CODES, isKasmDbError, KasmDbError, messageOf } from './app/errors.js';
import { abortOnSignals } from './app/signals.js';
import { now } from './app/time.js';
import { VERSION } from './app/version.js';
import { calledCommand } from './cli/arguments.js';
import { plainCall } from './cli/plain-call.js';
import { stopCompiling } from './cli/stop-compiling.js';
import { execute } from './commands/command.js';
import { reporter } from './output/reporter.js';
import type { Result } from './output/result.js';

const argv = process.argv.slice(2);
/** Nobody may take a process that ended too early for one that did its work: it becomes 0 only where its result has been printed. */
process.exitCode = EXIT_CODES.internal;
const started = now();
const signal = abortOnSignals();

async function main(): Promise<number> {
  const call = plainCall(argv) ?? (await import('./cli/parse.js')).parse(argv);
  const report = reporter(call.options);
  const { result, text } = await execute(
    {
      command: call.command,
      options: call.options,
      env: process.env,
      signal,
      events: { ...report.events, resting: stopCompiling },
      writes: call.writes,
      confirm: async (question) => (await import('./output/confirm.js')).confirmOnTerminal(question, signal),
    },
    call.work,
  );
  if (call.offline) delete result.database;
  report.finish(result, text);
  return result.exitCode;
}

/** What happens before a command is known: a wrong flag, or a bug. */
function refused(error: unknown): number {
  const known = isKasmDbError(error) ? error : new KasmDbError('internal', messageOf(error), { cause: error });
  const result: Result = {
    command: calledCommand(argv),
    outcome: known.outcome,
    exitCode: known.exitCode,
    version: VERSION,
    durationMs: Math.round(now() - started),
    error: { code: known.outcome, message: known.message, ...known.details },
  };
  const stack = known.outcome === 'internal' ? () => (error as Error)?.stack ?? '' : undefined;
  reporter({ json: argv.includes('--json'), color: !argv.includes('--no-color') }).finish(result, stack);
  return known.exitCode;
}

// Nothing is left that could wake the work up again, and its result was never printed.
process.once('beforeExit', () => {
  const error = new KasmDbError(
    'internal',
    'the event loop ran empty before the work was done; what was committed is not known',
    {
      hint: 'run the same command again: it finds out; then please report this as a bug in kasm-db',
    },
  );
  process.exit(refused(error));
});

process.once('uncaughtException', (error) => process.exit(refused(error)));
process.once('unhandledRejection', (error) => process.exit(refused(error)));

// Open handles (a server that answers nothing, a kept-alive socket) must not keep the process: the work is done, and all is written.
main()
  .catch(refused)
  .then((code) => process.exit(code));
