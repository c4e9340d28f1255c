// Texts between people, with the ticks that follow them.

import assert from 'node:assert/strict';

import { BaileysClient } from './lib/client.js';
import { Peer } from './lib/peer.js';
import { Phone } from './lib/sandbox.js';
import { scenario } from './lib/scenario.js';

scenario('texts and ticks with a phone, both ways', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const bob = await Phone.create('Bob');

  const id = await client.send(bob.jid, { text: 'hello Bob' });
  const shown = await bob.text('hello Bob');
  assert.equal(shown.id, id);
  assert.equal(shown.from, client.phone.number);
  await client.delivered(id);
  await bob.read([id]);
  await client.wasRead(id);

  await bob.send(client.phone.number, { kind: 'text', text: 'hello Ada' });
  const message = await client.text('hello Ada');
  assert.equal(message.key.remoteJid, bob.jid);
  assert.equal(message.key.remoteJidAlt, bob.lid);
  assert.equal(message.pushName, 'Bob');
  assert.equal(client.texts('hello Ada'), 1);
});

scenario('texts and ticks with whatsapp-rust, both ways', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const peer = await Peer.paired(t, 'Bob');

  const out = await client.send(peer.phone.jid, { text: 'hello Rust' });
  const got = await peer.text('hello Rust');
  assert.equal(got.id, out);
  assert.equal(got.pushName, 'Ada');
  await client.delivered(out);
  await peer.read(got.chat, [out]);
  await client.wasRead(out);

  const back = await peer.sendText(client.phone.jid, 'hello JavaScript');
  const message = await client.text('hello JavaScript');
  assert.equal(message.key.id, back);
  await peer.receipt(back, 'Delivered');
  await client.socket.readMessages([message.key]);
  await peer.receipt(back, 'Read');
});

scenario('a conversation by LID', async (t) => {
  const ada = await BaileysClient.paired(t, 'Ada');
  const bob = await BaileysClient.paired(t, 'Bob');
  const sibling = await Peer.paired(t, bob.phone);

  const id = await ada.send(bob.phone.lid, { text: 'by your other name' });
  const message = await bob.text('by your other name');
  assert.equal(message.key.remoteJid, ada.phone.lid);
  assert.equal(message.key.remoteJidAlt, ada.phone.jid);
  await sibling.text('by your other name');
  await bob.phone.text('by your other name');
  await ada.delivered(id);

  const answer = await bob.send(message.key.remoteJid, { text: 'by yours' }, { quoted: message });
  const quoting = await ada.text('by yours');
  assert.equal(quoting.key.remoteJid, bob.phone.lid);
  assert.equal(quoting.message.extendedTextMessage.contextInfo.stanzaId, id);
  await ada.socket.readMessages([quoting.key]);
  await bob.wasRead(answer);
});

scenario('devices of one account see what the others send', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const sibling = await Peer.paired(t, client.phone);
  const bob = await Phone.create('Bob');

  const id = await client.send(bob.jid, { text: 'from Baileys' });
  assert.equal((await sibling.text('from Baileys')).id, id);
  assert.equal((await client.phone.text('from Baileys')).chat, bob.number);

  await sibling.sendText(bob.jid, 'from whatsapp-rust');
  const copy = await client.text('from whatsapp-rust');
  assert.equal(copy.key.fromMe, true);
  assert.equal(copy.key.remoteJid, bob.jid);

  await client.phone.send(bob.number, { kind: 'text', text: 'from the phone' });
  const own = await client.text('from the phone');
  assert.equal(own.key.fromMe, true);
  assert.equal(own.key.remoteJid, bob.jid);

  await bob.send(client.phone.number, { kind: 'text', text: 'to all of you' });
  await client.text('to all of you');
  await sibling.text('to all of you');
});
