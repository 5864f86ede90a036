import { expect } from 'vitest';
import { selfSigned } from './certificates.js';
import { startCli } from './cli.js';
import { type Peer, startFakeServer } from './fake-server.js';
import { watchMemory } from './memory.js';

/**
 * A server that breaks the protocol (no terminator, announced gigabytes, unknown authentication, endless rows) hangs or kills the driver:
 * each state of a connection, ended within its bound, exit 4, JSON, memory below 200 MB.
 */
export interface Scenario {
  name: string;
  talk: (peer: Peer) => Promise<void> | void;
  first?: (peer: Peer) => Promise<boolean> | boolean;
  args?: string[];
  env?: Record<string, string>;
  /** Default: 4. */
  code?: number | number[];
  /** What the message says. */
  says?: RegExp;
}

/** Connecting may take so long. */
const CONNECT_S = 3;
/** Reading the state and what else is asked may take so long, on a machine that has other things to do. */
const BOUND_MS = 45_000;
const MEMORY_MB = 200;
/** 1,000 letters. */
export const LONG = 'x'.repeat(1000);

const certificate = await selfSigned('db', [
  { type: 'dns', value: 'localhost' },
  { type: 'ip', value: '127.0.0.1' },
]);

export const says = (...bytes: Buffer[]) => ({ talk: (peer: Peer) => peer.send(...bytes) });
export const floods = (before: Buffer, bytes: Buffer) => ({
  talk: async (peer: Peer) => {
    peer.send(before);
    await peer.flood(bytes);
  },
});
/** For it.each. */
export const named = (scenarios: Scenario[]) => scenarios.map((scenario) => [scenario.name, scenario] as const);
const runs: { name: string; ms: number; megabytes: number; code: number | null }[] = [];

/** @param args the command, without --json */
export async function run(scenario: Scenario, tls: boolean, args = scenario.args ?? ['check']): Promise<void> {
  const server = await startFakeServer(scenario.talk, {
    ...(tls ? { tls: certificate } : {}),
    ...(scenario.first ? { first: scenario.first } : {}),
  });
  try {
    const cli = startCli([...args, '--json', '--connect-timeout', `${CONNECT_S}s`], {
      HOME: '/nonexistent',
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(server.port),
      POSTGRES_DB: 'kasm',
      POSTGRES_USER: 'kasmapp',
      POSTGRES_PASSWORD: 's3cr3t-hostile',
      PGSSLMODE: tls ? 'require' : 'disable',
      ...scenario.env,
    });
    const megabytes = watchMemory(cli.child);
    const cut = setTimeout(() => cli.child.kill('SIGKILL'), BOUND_MS);
    const ended = await cli.ended;
    clearTimeout(cut);
    runs.push({ name: scenario.name, ms: ended.ms, megabytes: megabytes(), code: ended.code });
    expect(ended.signal, `did not end within ${BOUND_MS} ms`).toBeNull();
    const result = ended.json();
    expect([scenario.code ?? 4].flat(), ended.stderr).toContain(ended.code);
    expect(result.exitCode).toBe(ended.code);
    if (scenario.says) expect(result.error?.message).toMatch(scenario.says);
    expect(result.error?.message.length).toBeLessThan(70_000);
    // No stack, no source.
    expect(ended.stderr.length).toBeLessThan(80_000);
    expect(ended.stderr).not.toMatch(/^\s+at |require\(|=>/m);
    expect(megabytes()).toBeLessThan(MEMORY_MB);
  } finally {
    server.stop();
  }
}

/** What was counted, for the end of a file. */
export function summary(): string {
  const most = Math.max(...runs.map(({ megabytes }) => megabytes));
  const slowest = runs.toSorted((a, b) => b.ms - a.ms)[0];
  const ended = (code: number | null) => runs.filter((run) => run.code === code).length;
  return (
    `hostile server: ${runs.length} runs, ${ended(null)} hangs, ${ended(1)} crashes; ` +
    `at most ${most.toFixed(0)} MB, longest ${((slowest?.ms ?? 0) / 1000).toFixed(1)} s (${slowest?.name})`
  );
}
