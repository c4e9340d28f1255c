// Linking, coming back, and parting.

import assert from 'node:assert/strict';

import { DisconnectReason } from 'baileys';

import { BaileysClient } from './lib/client.js';
import { Phone } from './lib/sandbox.js';
import { scenario } from './lib/scenario.js';

scenario('pairs by QR code', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const { me } = client.socket.authState.creds;
  assert.equal(me.id, client.phone.jid.replace('@', ':1@'));
  assert.equal(me.lid, client.phone.lid.replace('@', ':1@'));
  assert.equal(me.name, 'Ada');
  const [{ client: connection, ...companion }] = (await client.phone.view()).companions;
  assert.equal(typeof connection, 'number');
  assert.deepEqual(companion, { device: 1, connected: true, platform: 'chrome', name: 'Waxwing' });
});

scenario('pairs by the code that is typed on the phone', async (t) => {
  const client = await BaileysClient.pairedByCode(t, 'Ada');
  const { me, registered } = client.socket.authState.creds;
  assert.equal(me.id, client.phone.jid.replace('@', ':1@'));
  assert.equal(registered, true);
  const bob = await Phone.create('Bob');
  await client.send(bob.jid, { text: 'linked by code' });
  await bob.text('linked by code');
});

scenario('logs in again with what its folder keeps, as the same device', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const bob = await Phone.create('Bob');
  await client.send(bob.jid, { text: 'before' });
  await bob.text('before');
  await client.disconnect();
  await client.phone.until('no connection', ({ companions }) => !companions[0].connected);

  await client.connect();
  await client.opened();
  const { companions } = await client.phone.view();
  assert.deepEqual(companions.map(({ device, connected }) => [device, connected]), [[1, true]]);
  // Sessions and prekeys are whole, both ways.
  await client.send(bob.jid, { text: 'after' });
  await bob.text('after');
  await bob.send(client.phone.number, { kind: 'text', text: 'welcome back' });
  await client.text('welcome back');
});

scenario('a second connection of the device ends the first', async (t) => {
  const first = await BaileysClient.paired(t, 'Ada');
  const second = first.twin(t);
  await second.connect();
  assert.equal(await first.closed(), DisconnectReason.connectionReplaced);
  await second.opened();
});

scenario('logs out', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  await client.socket.logout();
  await client.phone.until('no companion', ({ companions }) => companions.length === 0);

  await client.connect();
  assert.equal(await client.closed(), DisconnectReason.loggedOut, 'its credentials are worth nothing now');
});

scenario('is logged out by its phone', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  await client.phone.unlink(1);
  assert.equal(await client.closed(), DisconnectReason.loggedOut);
  await client.connect();
  assert.equal(await client.closed(), DisconnectReason.loggedOut, 'nor may it come back');
});
