// A way to the stack that can be closed and opened again: for its user the stack goes away and comes back.

import net from 'node:net';

import { freePort } from '../../node/port.mjs';

/** A relay on a port of `localhost`. */
export class Relay {
  #to;
  #server;
  #port;
  #open = new Set();
  #sockets = new Set();
  #takesSockets = true;

  /** A relay to the port of this URL, until the test ends. */
  static async to(t, url) {
    const relay = new Relay();
    relay.#to = Number(new URL(url).port);
    relay.#port = await freePort();
    await relay.back();
    t.after(() => relay.away());
    return relay;
  }

  /** Its base URL. */
  get url() {
    return `http://localhost:${this.#port}`;
  }

  /** Closes it, with all that goes through it. */
  async away() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  /** Cuts the WebSockets that go through it, and takes no others until it is told so. */
  cutsSockets() {
    this.#takesSockets = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Takes WebSockets again. */
  takesSockets() {
    this.#takesSockets = true;
  }

  /** Opens it at the port that it had. */
  async back() {
    this.#server = net.createServer((near) => {
      const far = net.connect(this.#to, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#open.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#open.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      // A browser asks for a WebSocket on a connection of its own.
      near.once('data', (first) => {
        if (!first.includes('GET /socket.io/')) return;
        if (!this.#takesSockets) return near.destroy();
        this.#sockets.add(near);
        near.on('close', () => this.#sockets.delete(near));
      });
      near.pipe(far).pipe(near);
    });
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
  }
}
