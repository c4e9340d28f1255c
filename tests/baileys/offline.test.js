// What waits for a client that is away.

import assert from 'node:assert/strict';

import { BaileysClient, textOf } from './lib/client.js';
import { Peer } from './lib/peer.js';
import { Phone } from './lib/sandbox.js';
import { scenario } from './lib/scenario.js';

scenario('messages wait, and come once and in order', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const bob = await Phone.create('Bob');
  await client.disconnect();

  // More than the server sends unasked.
  const texts = Array.from({ length: 30 }, (_, index) => `while you were away ${index}`);
  for (const text of texts) await bob.send(client.phone.number, { kind: 'text', text });
  await client.connect();
  await client.caughtUp();
  await Promise.all(texts.map((text) => client.text(text)));
  const came = client.all().map(textOf).filter((text) => texts.includes(text));
  assert.deepEqual(came, texts);

  // The network has forgotten them: they do not come again.
  await client.disconnect();
  await client.connect();
  await client.caughtUp();
  await bob.send(client.phone.number, { kind: 'text', text: 'the next one' });
  await client.text('the next one');
  for (const text of texts) assert.equal(client.texts(text), 1, text);
});

scenario('ticks wait', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const peer = await Peer.paired(t, 'Bob');
  await peer.phone.offline();
  const id = await client.send(peer.phone.jid, { text: 'read this later' });
  const { chat } = await peer.text('read this later');
  await client.disconnect();
  await peer.read(chat, [id]);

  await client.connect();
  await client.wasRead(id);
});

scenario('a message that Baileys sends waits for a phone that is off', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const bob = await Phone.create('Bob');
  await bob.offline();
  const id = await client.send(bob.jid, { text: 'are you there?' });
  await bob.online();
  await bob.text('are you there?');
  await client.delivered(id);
});
