import { headers } from 'kasm-db:migrations';
import { VERSION } from '../../app/version.js';
import type { Answer } from '../../commands/command.js';
import { type Style, style } from '../../output/terminal.js';
import { bashCompletion } from '../completion/bash.js';
import { fishCompletion } from '../completion/fish.js';
import { modelOf } from '../completion/model.js';
import { zshCompletion } from '../completion/zsh.js';
import type { CommandLine } from '../spec.js';
import { EXIT_CODE_HELP } from './exit-codes.js';
import { exitCodesText } from './exit-codes-text.js';
import { commandHelp, overview } from './render.js';

/** @param topic a command, `exit-codes` or one of them; undefined: all of the command line */
export function helpAnswer(topic: string | undefined, line: CommandLine): Answer {
  const codes = EXIT_CODE_HELP.filter(({ code }) => topic === 'exit-codes' || code.split(', ').includes(topic ?? ''));
  if (codes.length > 0) return page((s) => exitCodesText(codes, s));
  const spec = line.commands.find(({ name }) => name === topic);
  return page((s) => (spec ? commandHelp(spec, line, s) : overview(line, s)));
}

/** @param verbose also what a bug report needs */
export function versionAnswer(verbose: boolean): Answer {
  if (!verbose) return page(() => VERSION);
  const { bun, node } = process.versions;
  const kasm = headers.findLast(({ vendorVersion }) => vendorVersion)?.vendorVersion;
  const rows = [
    ['migrations', `${headers.length}, the newest is ${headers.at(-1)?.name} (alembic_version ${kasm})`],
    ['runtime', bun ? `Bun ${bun}, in one file` : `Node ${node}`],
    ['platform', `${process.platform} ${process.arch}`],
  ];
  return page((s) =>
    [s.bold(`kasm-db ${VERSION}`), ...rows.map(([what, value]) => `${what?.padEnd(11)}${value}`)].join('\n'),
  );
}

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** @returns the script that a shell reads to complete kasm-db's command line */
export function completionAnswer(shell: keyof typeof SCRIPTS, line: CommandLine): Answer {
  return { ...page(() => SCRIPTS[shell](modelOf(line))), verbatim: true };
}

/** A text that is the whole answer; for a program it stands in the result. */
function page(text: (s: Style) => string): Answer {
  return { fields: { page: text(style(false)) }, text };
}
