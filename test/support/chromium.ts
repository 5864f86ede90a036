import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => {
  try {
    execFileSync(path, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

/** False where no Chromium is installed; suites that need it then say so. */
export function hasChromium(): boolean {
  if (!CHROMIUM)
    console.warn('SKIPPED: chromium is not installed (Debian: chromium), so no page was opened in a browser');
  return CHROMIUM !== undefined;
}

export interface Page {
  /** Runs JavaScript in the page and gives its value. */
  run<T>(script: string): Promise<T>;
  /** What the page or the browser complained about, and every request that was not for the page itself. */
  complaints: string[];
  close(): Promise<void>;
}

/** Opens a page in a headless Chromium, spoken to by its DevTools protocol. @param width of the window, in pixels */
export async function openPage(url: string, width = 1400): Promise<Page> {
  const profile = mkdtempSync(join(tmpdir(), 'kasm-db-chromium-'));
  const child = spawn(
    CHROMIUM as string,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      `--window-size=${width},900`,
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const browser = new URL(await debuggingUrl(child));
  const targets = (await (await fetch(`http://${browser.host}/json`)).json()) as {
    type: string;
    webSocketDebuggerUrl: string;
  }[];
  const target = targets.find(({ type }) => type === 'page');
  const socket = new WebSocket(target?.webSocketDebuggerUrl as string);
  await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
  const complaints: string[] = [];
  const answers = new Map<number, (message: { result: unknown; error?: unknown }) => void>();
  let loaded = () => {};
  let id = 0;
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data));
    if (message.id) answers.get(message.id)?.(message);
    if (message.method === 'Page.loadEventFired') loaded();
    if (message.method === 'Runtime.exceptionThrown') complaints.push(message.params.exceptionDetails.text);
    if (message.method === 'Log.entryAdded') complaints.push(message.params.entry.text);
    if (message.method === 'Runtime.consoleAPICalled' && message.params.type === 'error')
      complaints.push('console.error');
    const request = message.method === 'Network.requestWillBeSent' ? message.params.request.url : url;
    if (request !== url && !request.startsWith('data:')) complaints.push(`it asks for ${request}`);
  });
  // biome-ignore lint/suspicious/noExplicitAny: the protocol's answers.
  const send = (method: string, params: object = {}): Promise<any> =>
    new Promise((resolve, reject) => {
      id++;
      answers.set(id, ({ result, error }) => (error ? reject(new Error(JSON.stringify(error))) : resolve(result)));
      socket.send(JSON.stringify({ id, method, params }));
    });
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
  const load = new Promise<void>((resolve) => {
    loaded = resolve;
  });
  await send('Page.navigate', { url });
  await load;
  return {
    complaints,
    run: async (script) => {
      const { result, exceptionDetails } = await send('Runtime.evaluate', {
        expression: script,
        returnByValue: true,
        awaitPromise: true,
      });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    close: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      socket.close();
      child.kill();
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function debuggingUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk) => {
      text += chunk;
      const found = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
      if (found) resolve(found);
    });
    child.once('exit', () => reject(new Error(`chromium ended: ${text}`)));
  });
}
