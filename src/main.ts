#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';
import { EXIT_CODES, KasmDbError, messageOf } from './app/errors.js';
import { exit } from './app/exit.js';
import { abortOnSignals, passSignals } from './app/signals.js';
import { now } from './app/time.js';
import { VERSION } from './app/version.js';
import { ownArguments, parse } from './cli/parse.js';
import { sameFlags } from './cli/same-flags.js';
import { runCommand } from './commands/run-command.js';
import { KEEPER } from './once/keeper-words.js';
import { errorInfo } from './output/error-info.js';
import { reporter } from './output/reporter.js';
import type { Result } from './output/result.js';
import { stdout } from './output/streams.js';

/**
 * Node's process.exit waits for the threads in which V8 compiles, and one of them may wait for a garbage collection, which only this thread could do: then
 * the process hangs for ever (nodejs/node issue 54918). What compiles there and needs memory is these two; a run is too short to miss them.
 */
for (const flag of ['--no-maglev', '--no-concurrent-sparkplug']) setFlagsFromString(flag);

const argv = process.argv.slice(2);
let command = '';
/** Nobody may take a process that ended too early for one that did its work: it becomes 0 only where its result has been printed. */
process.exitCode = EXIT_CODES.internal;
/** What a library is going to drop is for its next version, not for who runs this one. */
process.noDeprecation = true;
const started = now();
/** This process keeps a program for `once`; it takes orders, and no signals. */
const isKeeper = argv[0] === KEEPER;
const signal = isKeeper ? new AbortController().signal : abortOnSignals((reason) => exit(failed(reason)));

async function main(): Promise<number> {
  const call = parse(argv);
  command = call.command;
  const report = reporter(call.options);
  const { result, text, verbatim } = await runCommand(
    {
      command,
      options: call.options,
      env: process.env,
      signal,
      events: report.events,
      writes: call.writes,
      offline: call.offline,
      passSignals,
      again: sameFlags(call.options),
      show: call.options.json ? undefined : report.show,
      onTerminal: !call.options.json && stdout.isTTY,
      confirm: async (question) => (await import('./output/confirm.js')).confirmOnTerminal(question, signal),
    },
    call.work,
  );
  return report.finish(result, text, verbatim);
}

/** Whatever no command was there to report. */
function failed(error: unknown): number {
  const bug =
    error instanceof KasmDbError
      ? error
      : new KasmDbError('internal', messageOf(error), {
          cause: error,
          hint: 'this is a bug in kasm-db; please report it with the stack',
        });
  const result: Result = {
    command,
    outcome: bug.outcome,
    exitCode: bug.exitCode,
    version: VERSION,
    durationMs: Math.round(now() - started),
    error: errorInfo(bug),
  };
  const own = ownArguments(argv);
  const report = reporter({ json: own.includes('--json'), color: !own.includes('--no-color') });
  return report.finish(result, () => (error instanceof Error && error.stack) || '');
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
  process.exit(failed(error));
});

process.once('uncaughtException', (error) => process.exit(failed(error)));
process.once('unhandledRejection', (error) => process.exit(failed(error)));

// Open handles (a server that answers nothing, a kept-alive socket) must not keep the process: the work is done, and all is written.
(isKeeper ? import('./once/keeper.js').then(({ keep }) => keep(argv.slice(1))) : main()).catch(failed).then(exit);
