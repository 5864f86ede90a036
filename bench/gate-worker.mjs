// Many gates in one thread, through the library; tells when each has looked once, and when it was released.
import { parentPort, workerData } from 'node:worker_threads';
import { check } from '../dist/index.mjs';

const { gates, env } = workerData;
await Promise.all(
  Array.from({ length: gates }, async () => {
    let looked = false;
    const waiting = () => {
      if (!looked) parentPort.postMessage('looked');
      looked = true;
    };
    const { outcome } = await check({ wait: '120s', env, events: { waiting } });
    parentPort.postMessage({ outcome, at: Date.now() });
  }),
);
