// Groups: one text for all, under sender keys that their members hand out.

import assert from 'node:assert/strict';

import { BaileysClient } from './lib/client.js';
import { Peer } from './lib/peer.js';
import { Phone } from './lib/sandbox.js';
import { scenario } from './lib/scenario.js';

scenario('a group of Baileys, whatsapp-rust and a phone', async (t) => {
  const ada = await BaileysClient.paired(t, 'Ada');
  const bob = await Peer.paired(t, 'Bob');
  const cyd = await Phone.create('Cyd');
  const made = await ada.socket.groupCreate('Three of us', [bob.phone.jid, cyd.jid]);
  assert.equal(made.subject, 'Three of us');
  assert.equal(made.participants.length, 3);
  const group = made.id;

  // The first text of each hands out a sender key, the second uses it.
  for (const text of ['Ada says one', 'Ada says two']) {
    const id = await ada.send(group, { text });
    const got = await bob.text(text);
    assert.equal(got.chat, group);
    await cyd.text(text);
    await ada.groupReceipt(id, bob.phone, 'receiptTimestamp');
    await ada.groupReceipt(id, cyd, 'receiptTimestamp');
    await bob.read(group, [id], got.sender);
    await ada.groupReceipt(id, bob.phone, 'readTimestamp');
  }

  for (const text of ['Bob says one', 'Bob says two']) {
    const id = await bob.sendText(group, text);
    const message = await ada.text(text);
    assert.equal(message.key.remoteJid, group);
    assert.ok([bob.phone.jid, bob.phone.lid].includes(withoutDevice(message.key.participant)));
    await cyd.text(text);
    await bob.receipt(id, 'Delivered');
  }

  for (const text of ['Cyd says one', 'Cyd says two']) {
    await cyd.send(group, { kind: 'text', text });
    const message = await ada.text(text);
    assert.equal(message.key.remoteJid, group);
    assert.ok([cyd.jid, cyd.lid].includes(withoutDevice(message.key.participant)));
    await bob.text(text);
    assert.equal(ada.texts(text), 1);
  }
});

scenario('members come and go', async (t) => {
  const ada = await BaileysClient.paired(t, 'Ada');
  const dan = await BaileysClient.paired(t, 'Dan');
  const cyd = await Phone.create('Cyd');
  const { id: group } = await ada.socket.groupCreate('Coming and going', [cyd.jid]);
  await ada.send(group, { text: 'without Dan' });
  await cyd.text('without Dan');

  const [added] = await ada.socket.groupParticipantsUpdate(group, [dan.phone.jid], 'add');
  assert.equal(added.status, '200');
  await ada.send(group, { text: 'with Dan' });
  await dan.text('with Dan');
  await dan.send(group, { text: 'hello, all' });
  await ada.text('hello, all');
  await cyd.text('hello, all');
  const known = await dan.socket.groupMetadata(group);
  assert.equal(known.subject, 'Coming and going');
  assert.equal(known.participants.length, 3);

  const [removed] = await ada.socket.groupParticipantsUpdate(group, [dan.phone.jid], 'remove');
  assert.equal(removed.status, '200');
  await ada.send(group, { text: 'without Dan again' });
  await cyd.text('without Dan again');
  // What comes later has come after what should not have come.
  await cyd.send(dan.phone.number, { kind: 'text', text: 'sorry' });
  await dan.text('sorry');
  assert.equal(dan.texts('without Dan again'), 0);
  assert.equal(dan.texts('without Dan'), 0);
});

scenario('a group text waits for a client that is away', async (t) => {
  const ada = await BaileysClient.paired(t, 'Ada');
  const bob = await Peer.paired(t, 'Bob');
  const { id: group } = await ada.socket.groupCreate('Patience', [bob.phone.jid]);
  await ada.send(group, { text: 'brb' });
  await bob.text('brb');
  await ada.disconnect();
  await bob.sendText(group, 'no hurry');

  await ada.connect();
  const message = await ada.text('no hurry');
  assert.equal(message.key.remoteJid, group);
});

function withoutDevice(jid) {
  return jid.replace(/:\d+@/, '@');
}
