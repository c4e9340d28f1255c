// A test with people in it: when it fails, it shows what each of them saw.

import { test } from 'node:test';

/** How long a scenario may take in all, in ms. */
const TIMEOUT = 240_000;

/** The logs of the scenarios that play now, by their test context. */
const casts = new WeakMap();

/** Defines a test; `play` gets the test context. */
export function scenario(name, play) {
  test(name, { timeout: TIMEOUT }, async (t) => {
    const logs = [];
    casts.set(t, logs);
    try {
      await play(t);
    } catch (error) {
      const seen = logs.map((log) => `${log.owner} saw:\n${log.show()}`);
      throw new Error([error.message, ...seen].join('\n\n'), { cause: error });
    }
  });
}

/** Has what `log` holds shown if the scenario of `t` fails. */
export function follow(t, log) {
  casts.get(t)?.push(log);
}
