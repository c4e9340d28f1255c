// A receiver: a program of the document, run as it is printed.

import { spawn } from 'node:child_process';
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from '../../node/port.mjs';
import { until } from '../../node/stack.mjs';
import { post } from './relay.js';

const PACKAGES = fileURLToPath(new URL('../node_modules', import.meta.url));

/** The port in the document, and of programs that are not told another. */
const PRINTED_PORT = '4000';

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

/** It ends with its test. */
export class Receiver {
  /** Starts the program with this secret, and waits until it listens. */
  static async start(t, { file, command, source }, secret) {
    const folder = mkdtempSync(join(process.env.WAXWING_WORK ?? tmpdir(), 'receiver-'));
    writeFileSync(join(folder, file), source);
    symlinkSync(PACKAGES, join(folder, 'node_modules'));
    const receiver = new Receiver();
    receiver.port = await freePort();
    receiver.said = '';
    const [program, ...rest] = command.replace(PRINTED_PORT, receiver.port).split(' ');
    const env = { ...process.env, WEBHOOK_SECRET: secret, PORT: receiver.port };
    const child = spawn(program, rest, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const output of [child.stdout, child.stderr]) output.on('data', (text) => (receiver.said += text));
    let ended;
    const end = new Promise((resolve) => child.on('error', resolve).on('exit', resolve)).then((why) => (ended = { why }));
    t.after(async () => {
      child.kill();
      await end;
    });
    await until(`a receiver: ${command}`, () => {
      if (ended) throw new Error(`${command} ended (${ended.why}): ${receiver.said}`);
      return listens(receiver.port);
    });
    return receiver;
  }

  /** Posts a request to it: the status of its answer. */
  asked(request) {
    return post(this.port, request);
  }
}
