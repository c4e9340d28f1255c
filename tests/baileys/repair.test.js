// Messages that cannot be read at first.

import assert from 'node:assert/strict';

import { BaileysClient } from './lib/client.js';
import { Peer } from './lib/peer.js';
import { Phone } from './lib/sandbox.js';
import { scenario } from './lib/scenario.js';

scenario('a client that lost its sessions has messages encrypted again by a phone', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const bob = await Phone.create('Bob');
  await bob.send(client.phone.number, { kind: 'text', text: 'before the loss' });
  await client.text('before the loss');
  await client.send(bob.jid, { text: 'got it' });
  await bob.text('got it');
  await client.disconnect();
  await client.loseSessions();

  await client.connect();
  await client.opened();
  await bob.send(client.phone.number, { kind: 'text', text: 'after the loss' });
  await client.text('after the loss');
  assert.equal(client.texts('after the loss'), 1);
});

scenario('a client that lost its sessions has messages encrypted again by whatsapp-rust', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const peer = await Peer.paired(t, 'Bob');
  await peer.sendText(client.phone.jid, 'before the loss');
  await client.text('before the loss');
  await client.send(peer.phone.jid, { text: 'got it' });
  await peer.text('got it');
  await client.disconnect();
  await client.loseSessions();

  await client.connect();
  await client.opened();
  await peer.sendText(client.phone.jid, 'after the loss');
  await client.text('after the loss');
  assert.equal(client.texts('after the loss'), 1);
});
