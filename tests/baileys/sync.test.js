// What the phone hands to a companion that it has just linked, and what companions keep in common.

import assert from 'node:assert/strict';

import { BaileysClient, textOf } from './lib/client.js';
import { Phone } from './lib/sandbox.js';
import { scenario } from './lib/scenario.js';

/** Baileys as it comes: it wants the history. */
const WITH_HISTORY = { shouldSyncHistoryMessage: () => true };

scenario('a new companion gets the chats of its phone', async (t) => {
  const ada = await Phone.create('Ada');
  const bob = await Phone.create('Bob');
  await ada.send(bob.number, { kind: 'text', text: 'long ago' });
  await bob.send(ada.number, { kind: 'text', text: 'yes, long ago' });
  await ada.text('yes, long ago');

  const client = await BaileysClient.paired(t, ada, WITH_HISTORY);
  const history = await client.event('messaging-history.set', 'history', ({ messages }) => messages.length);
  const texts = history.messages.map(({ message }) => textOf(message));
  assert.deepEqual(texts.sort(), ['long ago', 'yes, long ago']);
  assert.ok(history.chats.some(({ id }) => [bob.jid, bob.lid].includes(id)));
  // It takes part from there on.
  await bob.send(ada.number, { kind: 'text', text: 'and now' });
  await client.text('and now');
});

scenario('companions share what is set on one of them', async (t) => {
  const one = await BaileysClient.paired(t, 'Ada', WITH_HISTORY);
  const other = await BaileysClient.paired(t, one.phone, WITH_HISTORY);
  const bob = await Phone.create('Bob');
  await one.event('creds.update', 'app-state key', ({ myAppStateKeyId }) => myAppStateKeyId);

  await one.socket.chatModify({ pin: true }, bob.jid);
  await other.event('chats.update', 'pinned chat', ({ id, pinned }) => id === bob.jid && pinned);
  // Each goes on from what the other left.
  await other.socket.chatModify({ mute: Date.now() + 3_600_000 }, bob.jid);
  await one.event('chats.update', 'muted chat', ({ id, muteEndTime }) => id === bob.jid && muteEndTime);
  await one.socket.chatModify({ pin: false }, bob.jid);
  await other.event('chats.update', 'chat no more pinned', ({ id, pinned }) => id === bob.jid && pinned === null);
});
