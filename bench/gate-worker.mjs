// Many gates in one thread, through the library; tells when each was released.
import { parentPort, workerData } from 'node:worker_threads';
import { check } from '../dist/index.mjs';

const { gates, env } = workerData;
await Promise.all(
  Array.from({ length: gates }, async () => {
    const { outcome } = await check({ wait: '120s', env });
    parentPort.postMessage({ outcome, at: Date.now() });
  }),
);
