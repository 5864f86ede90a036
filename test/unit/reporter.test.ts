import { afterEach, describe, expect, it, vi } from 'vitest';
import { reporter } from '../../src/output/reporter.js';
import type { Result } from '../../src/output/result.js';
import * as streams from '../../src/output/streams.js';

const ESC = '\u001b';
const HOSTILE = `${ESC}]0;owned\u0007${ESC}[2J`;

const failed: Result = {
  command: 'migrate',
  outcome: 'failed',
  exitCode: 7,
  version: '1.2.3',
  durationMs: 1,
  error: {
    code: 'failed',
    message: `0001_a failed ${HOSTILE}`,
    hint: `try ${HOSTILE}`,
    statement: `SELECT\n${HOSTILE}`,
  },
};
const ok: Result = { command: 'migrate', outcome: 'ok', exitCode: 0, version: '1.2.3', durationMs: 1 };

/** Stands in for the two streams, as a terminal or as a pipe. */
function capture(isTTY: boolean) {
  const out = { stdout: '', stderr: '' };
  for (const [name, stream] of Object.entries(streams)) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      out[name as keyof typeof out] += text;
    });
    vi.spyOn(stream, 'isTTY', 'get').mockReturnValue(isTTY);
  }
  vi.stubEnv('NO_COLOR', '');
  vi.stubEnv('TERM', 'xterm');
  return out;
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe('reporter › on a terminal', () => {
  it('paints what it says itself', () => {
    const out = capture(true);
    reporter({}).finish({ ...failed, applied: [{ name: '0003_zones', ms: 12 }] });
    expect(out.stderr).toContain(`${ESC}[32mapplied${ESC}[39m 0003_zones ${ESC}[2m12 ms${ESC}[22m\n`);
  });

  it('but with --no-color', () => {
    const out = capture(true);
    reporter({ color: false }).finish({ ...failed, applied: [{ name: '0003_zones', ms: 12 }] });
    expect(out.stderr).toMatch(/^applied 0003_zones 12 ms\nfailed: 0001_a/);
  });

  it("obeys no control character of the server's words", () => {
    const out = capture(true);
    const { events, finish } = reporter({ verbose: true, color: false });
    events.notice?.(HOSTILE);
    events.warning?.(HOSTILE);
    events.waiting?.(HOSTILE);
    finish(failed);
    expect(out.stderr).toContain('\ufffd]0;owned');
    expect(out.stderr).not.toContain(ESC);
    expect(out.stderr).not.toContain('\u0007');
  });
});

describe('reporter › where the result goes', () => {
  it('text on stdout, nothing else', () => {
    const out = capture(false);
    reporter({}).finish(ok, () => 'Nothing to do.');
    expect(out).toEqual({ stdout: 'Nothing to do.\n', stderr: '' });
  });

  it('--json: one line on stdout, also of a failure, whose text is on stderr', () => {
    const out = capture(false);
    reporter({ json: true }).finish(failed);
    expect(out.stdout).toMatch(/^[^\n]*\n$/);
    expect(JSON.parse(out.stdout)).toEqual(failed);
    expect(out.stderr).toMatch(/^failed: 0001_a failed/);
    expect(out.stderr).toMatch(/\nnext: try .*\nexit code 7 \(failed\)\n$/);
  });

  it('a failure without --json leaves stdout empty', () => {
    const out = capture(false);
    reporter({}).finish(failed);
    expect(out.stdout).toBe('');
  });

  it('--quiet: no progress, but the result and a failure', () => {
    const out = capture(false);
    const { events, finish } = reporter({ quiet: true });
    events.migrationDone?.('0003_zones', 12);
    finish(failed);
    expect(out.stderr).toMatch(/^failed: /);
  });
});

describe('reporter › what would fill a log', () => {
  it('notices are shown with --verbose alone, and no more than 100', () => {
    const out = capture(false);
    const [silent, verbose] = [reporter({}), reporter({ verbose: true })];
    for (let i = 0; i < 500; i++) silent.events.notice?.('n');
    expect(out.stderr).toBe('');
    for (let i = 0; i < 500; i++) verbose.events.notice?.('n');
    expect(out.stderr.split('\n')).toHaveLength(101);
    expect(out.stderr).toMatch(/no more are shown\)\n$/);
  });

  it('waiting for the migration lock is said once, not at every try', () => {
    const out = capture(false);
    const { events } = reporter({});
    for (let i = 0; i < 50; i++) events.waitForLock?.(undefined);
    expect(out.stderr).toBe('waiting for the migration lock: a migrator that has just ended\n');
  });
});

describe('reporter › a migration is printed once', () => {
  const applied = [{ name: '0003_zones', ms: 12 }];
  const run = (out: ReturnType<typeof capture>) => {
    const { events, finish } = reporter({ color: false });
    events.target?.('kasm on db:5432 as kasmapp');
    events.started?.('applying', 1);
    events.migrationStarted?.('0003_zones', 0, 1);
    events.migrationDone?.('0003_zones', 12);
    finish({ ...ok, applied }, ({ listed }) => (listed ? 'done' : 'the table'));
    return out;
  };

  it('in a pipe: a line at the start, one when it ends, no table', () => {
    const out = run(capture(false));
    expect(out.stderr).toBe(
      'kasm on db:5432 as kasmapp\napplying 1 migration to kasm on db:5432 as kasmapp\napplied 0003_zones 12 ms\n',
    );
    expect(out.stdout).toBe('done\n');
  });

  it('on a terminal: a live line, then the table', () => {
    const out = run(capture(true));
    expect(out.stderr).not.toMatch(/applying|applied/);
    expect(out.stderr).toContain('0003_zones (1 of 1) 0 ms');
    expect(out.stdout).toBe('the table\n');
  });

  it('in a pipe, one that goes on says so every 30 s', () => {
    vi.useFakeTimers();
    try {
      const out = capture(false);
      const { events } = reporter({ color: false });
      events.migrationStarted?.('0003_zones', 0, 1);
      vi.advanceTimersByTime(61_000);
      events.migrationDone?.('0003_zones', 61_000);
      vi.advanceTimersByTime(61_000);
      expect(out.stderr).toMatch(/^(0003_zones \(1 of 1\): running for .*\n){2}applied 0003_zones 1 min 1 s\n$/);
    } finally {
      vi.useRealTimers();
    }
  });
});
