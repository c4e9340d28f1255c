// A way to the stack that fails as a daemon lets connections fail.

import net from 'node:net';

import { API } from '../../node/stack.mjs';

/** Takes connections and hands them on. It ends with the test. */
export class Relay {
  /** What becomes of the next connections: `lost` before the client is let in, or `busy` (503). Others pass. */
  fates = [];

  /** How many connections have come. */
  came = 0;

  #open = new Set();

  static async start(t) {
    const relay = new Relay();
    relay.server = net.createServer((client) => relay.#take(client));
    await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
    relay.url = `http://127.0.0.1:${relay.server.address().port}`;
    t.after(() => {
      relay.cut();
      relay.server.close();
    });
    return relay;
  }

  /** Cuts what is open. */
  cut() {
    for (const socket of this.#open) socket.destroy();
  }

  #take(client) {
    this.came += 1;
    this.#keep(client);
    const fate = this.fates.shift();
    if (fate === 'busy') {
      client.once('data', () => client.end('HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n'));
      return;
    }
    const { hostname, port } = new URL(API);
    const stack = this.#keep(net.connect(Number(port), hostname));
    client.pipe(stack);
    stack.pipe(client);
    client.on('close', () => stack.destroy());
    stack.on('close', () => client.destroy());
    if (fate === 'lost') {
      // The client asks for the upgrade first, and shows its token when the stack has answered.
      stack.once('data', () => client.once('data', () => client.destroy()));
    }
  }

  #keep(socket) {
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    // Ends are part of what is played.
    socket.on('error', () => socket.destroy());
    return socket;
  }
}
