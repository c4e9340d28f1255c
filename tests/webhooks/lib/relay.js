// The endpoint that the stack posts to: it notes what comes, and hands it on to a receiver as it came.

import { createServer, request as ask } from 'node:http';

import { DEADLINE, until } from '../../node/stack.mjs';

/** Posts a request to a port of this machine: the answer's status. */
export function post(port, { headers, body }) {
  return new Promise((resolve, reject) => {
    const asked = ask({ host: '127.0.0.1', port, method: 'POST', path: '/hook', headers, timeout: DEADLINE }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
    });
    asked.on('timeout', () => asked.destroy(new Error('the receiver does not answer')));
    asked.on('error', reject);
    asked.end(body);
  });
}

/** It ends with its test. */
export class Relay {
  static async start(t) {
    const relay = new Relay();
    relay.requests = [];
    const server = createServer(async (request, response) => {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      const { host, connection, ...headers } = request.headers;
      const came = { headers, body: Buffer.concat(pieces) };
      came.event = JSON.parse(came.body);
      came.answered = await post(relay.port, came).catch((error) => ({ error }));
      relay.requests.push(came);
      response.writeHead(typeof came.answered === 'number' ? came.answered : 502).end();
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    relay.url = `http://127.0.0.1:${server.address().port}/hook`;
    return relay;
  }

  /** From now on requests go on to this receiver. */
  leadsTo(receiver) {
    this.port = receiver.port;
  }

  /** The first request whose event fits, once it is answered. */
  heard(fits) {
    return until('the event', () => this.requests.find(({ event }) => fits(event)));
  }
}
