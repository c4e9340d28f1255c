// What people do to messages that were sent before.

import { BaileysClient } from './lib/client.js';
import { Peer } from './lib/peer.js';
import { scenario } from './lib/scenario.js';

scenario('a reaction, an edit and a revocation', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const peer = await Peer.paired(t, 'Bob');
  const chat = peer.phone.jid;

  const theirs = await peer.sendText(client.phone.jid, 'lunch?');
  const { key } = await client.text('lunch?');
  await client.send(chat, { react: { text: '👍', key } });
  await peer.message('reaction', ({ kind, of, text }) => kind === 'reaction' && of === theirs && text === '👍');

  const mine = await client.send(chat, { text: 'at noom' });
  await peer.text('at noom');
  const sent = { remoteJid: chat, fromMe: true, id: mine };
  await client.send(chat, { text: 'at noon', edit: sent });
  await peer.message('edit', ({ kind, of, text }) => kind === 'edit' && of === mine && text === 'at noon');

  await client.send(chat, { delete: sent });
  await peer.message('revocation', ({ kind, of }) => kind === 'revoke' && of === mine);
});
