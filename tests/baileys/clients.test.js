// Several Baileys clients in one process.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';

import libsignal from 'libsignal';

test('what waits behind the work of another client runs in its own transaction', async () => {
  const transaction = new AsyncLocalStorage();
  const address = new libsignal.ProtocolAddress('1000', 0);
  // The first load is bob's, and holds the queue until ada's waits behind it.
  let proceed;
  const held = new Promise((resolve) => (proceed = resolve));
  const seen = [];
  const storage = (name) => ({
    getOurIdentity: () => ({}),
    loadSession: async () => {
      seen.push([name, transaction.getStore()]);
      if (name === 'bob') await held;
    },
  });
  const encrypt = (name) =>
    transaction.run(name, () => new libsignal.SessionCipher(storage(name), address).encrypt(Buffer.from('hello')));
  const both = ['bob', 'ada'].map((name) => assert.rejects(encrypt(name), /No sessions/));
  setImmediate(proceed);
  await Promise.all(both);
  assert.deepEqual(seen, [['bob', 'bob'], ['ada', 'ada']]);
});
