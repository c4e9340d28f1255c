// Ports for what a test starts a moment later, or at the same place again.

import { createServer } from 'node:net';

/** A port that nobody listens on now. It is below those that systems give to connections, so it is free still when it is used. */
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
