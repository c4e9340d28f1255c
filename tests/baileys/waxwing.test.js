// Waxwing itself and Baileys, both ways: what one says the other reads, kind by kind, files by their SHA-256.

import assert from 'node:assert/strict';
import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto';

import { downloadMediaMessage, proto } from 'baileys';

import { BaileysClient, textOf } from './lib/client.js';
import { PICTURE, film, sha256, tone } from './lib/files.js';
import { scenario } from './lib/scenario.js';
import { Waxwing } from './lib/waxwing.js';

/** Baileys makes thumbnails with packages that are not here; without one given it tries. */
const THUMBNAIL = { jpegThumbnail: randomBytes(64).toString('base64') };

const VCARD = ['BEGIN:VCARD', 'VERSION:3.0', 'FN:Grace Hopper', 'TEL;waid=15550100009:+1 555 0100009', 'END:VCARD'].join('\n');

async function both(t) {
  const [waxwing, client] = await Promise.all([Waxwing.paired(t, 'Ada'), BaileysClient.paired(t, 'Bob')]);
  return { waxwing, client, to: client.phone.number, chat: waxwing.phone.jid };
}

function downloaded(message) {
  return downloadMediaMessage(message, 'buffer', {});
}

scenario('words and places from Waxwing', async (t) => {
  const { waxwing, client, to, chat } = await both(t);
  const first = await waxwing.send('text', { to, text: `hello @${to}`, mentions: [to] });
  const hello = await client.message('text with a mention', ({ message }) => message.extendedTextMessage?.text);
  assert.equal(hello.message.extendedTextMessage.text, `hello @${to}`);
  assert.deepEqual(hello.message.extendedTextMessage.contextInfo.mentionedJid, [client.phone.jid]);

  await waxwing.send('location', { to, latitude: 52.5163, longitude: 13.3777, name: 'Gate', address: 'Berlin' });
  const place = (await client.message('location', ({ message }) => message.locationMessage)).message.locationMessage;
  assert.deepEqual([place.degreesLatitude, place.degreesLongitude, place.name, place.address], [52.5163, 13.3777, 'Gate', 'Berlin']);

  await waxwing.send('contact', { to, vcard: VCARD });
  const card = (await client.message('contact', ({ message }) => message.contactMessage)).message.contactMessage;
  assert.equal(card.displayName, 'Grace Hopper');
  assert.match(card.vcard, /waid=15550100009/);

  // Baileys answers with a quote, and is quoted in turn.
  const mine = await client.send(chat, { text: 'who is there?' }, { quoted: hello });
  const asked = await waxwing.message('answer', ({ text }) => text === 'who is there?');
  assert.deepEqual([asked.quoted.id, asked.quoted.fromMe, asked.quoted.text], [first, true, `hello @${to}`]);
  await waxwing.send('text', { to, text: 'Ada', replyTo: { id: asked.id, text: 'who is there?' } });
  const answer = await client.message('quote', ({ message }) => message.extendedTextMessage?.text === 'Ada');
  const { stanzaId, quotedMessage } = answer.message.extendedTextMessage.contextInfo;
  assert.deepEqual([stanzaId, textOf(quotedMessage)], [mine, 'who is there?']);
});

scenario('files from Waxwing', async (t) => {
  const { waxwing, client, to } = await both(t);
  const read = async (kind, member, bytes, more = {}) => {
    await waxwing.send(kind, { to, base64: bytes.toString('base64'), ...more });
    const fits = ({ message }) => message[member] && (kind !== 'audio' || !message[member].ptt);
    const message = await client.message(kind, fits);
    return { said: message.message[member], file: await downloaded(message) };
  };
  const image = await read('image', 'imageMessage', PICTURE, { caption: 'look' });
  assert.equal(sha256(image.file), sha256(PICTURE));
  assert.deepEqual([image.said.caption, image.said.mimetype, image.said.width, image.said.height], ['look', 'image/png', 2, 2]);
  assert.ok(image.said.jpegThumbnail.length > 0);

  const video = await read('video', 'videoMessage', film(), { caption: 'play' });
  assert.equal(sha256(video.file), sha256(film()));
  assert.deepEqual([video.said.caption, video.said.seconds, video.said.width], ['play', 3, 1_280]);

  const bytes = randomBytes(70_001);
  const paper = await read('document', 'documentMessage', bytes, { fileName: 'terms.bin', mimeType: 'application/octet-stream' });
  assert.equal(sha256(paper.file), sha256(bytes));
  assert.equal(paper.said.fileName, 'terms.bin');

  // These are made for the apps, of whatever comes.
  const voice = await read('voice', 'audioMessage', tone());
  assert.equal(voice.file.subarray(0, 4).toString('latin1'), 'OggS');
  assert.deepEqual([voice.said.ptt, voice.said.seconds, voice.said.waveform.length], [true, 1, 64]);
  const audio = await read('audio', 'audioMessage', voice.file);
  assert.equal(sha256(audio.file), sha256(voice.file));
  const sticker = await read('sticker', 'stickerMessage', PICTURE);
  assert.equal(sticker.file.subarray(8, 12).toString('latin1'), 'WEBP');
  assert.deepEqual([sticker.said.width, sticker.said.height], [512, 512]);
});

scenario('changes, a poll and a vote', async (t) => {
  const { waxwing, client, to, chat } = await both(t);
  const text = await waxwing.send('text', { to, text: 'at noom' });
  const { key } = await client.text('at noom');
  await client.send(chat, { react: { text: '👍', key } });
  const reaction = await waxwing.told('message.reaction', 'reaction', ({ emoji }) => emoji === '👍');
  assert.equal(reaction.messageId, text);
  await waxwing.edit(text, 'at noon');
  const edited = ({ message }) => {
    const change = message.protocolMessage ?? message.editedMessage?.message?.protocolMessage;
    const said = change?.editedMessage;
    return change?.key?.id === key.id && (said?.conversation ?? said?.extendedTextMessage?.text) === 'at noon';
  };
  await Promise.any([
    client.message('edit', edited),
    client.event('messages.update', 'edit', ({ key: of, update }) => {
      return of.id === key.id && JSON.stringify(update.message ?? {}).includes('at noon');
    }),
  ]);
  await waxwing.revoke(text);
  await Promise.any([
    client.message('revocation', ({ message }) => message.protocolMessage?.type === 0 && message.protocolMessage.key.id === key.id),
    client.event('messages.update', 'revocation', ({ key: of, update }) => of.id === key.id && update.message === null),
  ]);

  const poll = await waxwing.send('poll', { to, question: 'Lunch?', options: ['Soup', 'Salad'], selectable: 1 });
  const asked = await client.message('poll', ({ message }) => pollOf(message));
  assert.deepEqual(pollOf(asked.message).options.map(({ optionName }) => optionName), ['Soup', 'Salad']);
  await client.relay(chat, vote(asked, 'Salad', { creator: chat, voter: client.phone.jid }));
  const counted = await waxwing.told('poll.vote', 'vote', ({ options }) => options[0] === 'Salad');
  assert.equal(counted.messageId, poll);
  assert.deepEqual(counted.tally, [{ option: 'Soup', votes: 0 }, { option: 'Salad', votes: 1 }]);

  const mine = await client.send(chat, { text: 'comming' });
  const told = await waxwing.message('text', ({ text }) => text === 'comming');
  await waxwing.react(told.id, '❤️');
  const shown = ({ message }) => message.reactionMessage?.key?.id === mine && message.reactionMessage.text === '❤️';
  await client.message('reaction', shown);
  const sent = { remoteJid: chat, fromMe: true, id: mine };
  await client.send(chat, { text: 'coming', edit: sent });
  const reworded = await waxwing.told('message.edited', 'edit', ({ text }) => text === 'coming');
  assert.equal(reworded.id, told.id);
  await client.send(chat, { delete: sent });
  const gone = await waxwing.told('message.revoked', 'revocation', ({ messageId }) => messageId === told.id);
  assert.equal(gone.from.phone, client.phone.number);
});

scenario('everything from Baileys', async (t) => {
  const { waxwing, client, chat } = await both(t);
  const told = async (kind, content, options) => {
    await client.send(chat, content, options);
    return waxwing.message(kind, (data) => data.kind === kind);
  };
  const own = waxwing.phone.number;
  const text = await told('text', { text: `hello @${own}`, mentions: [waxwing.phone.jid] });
  assert.deepEqual([text.text, text.mentions[0].phone, text.from.phone], [`hello @${own}`, own, client.phone.number]);

  const location = { degreesLatitude: 52.5163, degreesLongitude: 13.3777, name: 'Gate', address: 'Berlin' };
  const { location: place } = await told('location', { location });
  assert.deepEqual([place.latitude, place.longitude, place.name, place.address], [52.5163, 13.3777, 'Gate', 'Berlin']);
  const card = await told('contact', { contacts: { displayName: 'Grace Hopper', contacts: [{ vcard: VCARD }] } });
  assert.deepEqual([card.contacts[0].name, card.contacts[0].phones], ['Grace Hopper', ['15550100009']]);
  const { poll } = await told('poll', { poll: { name: 'Lunch?', values: ['Soup', 'Salad'], selectableCount: 1 } });
  assert.deepEqual([poll.question, poll.options, poll.selectable], ['Lunch?', ['Soup', 'Salad'], 1]);

  const bytes = randomBytes(90_001);
  const audio = { mimetype: 'audio/ogg; codecs=opus', seconds: 1 };
  const files = {
    image: { image: PICTURE, caption: 'look', mimetype: 'image/png', ...THUMBNAIL },
    video: { video: film(), caption: 'play', mimetype: 'video/mp4', seconds: 3, ...THUMBNAIL },
    document: { document: bytes, mimetype: 'application/pdf', fileName: 'terms.pdf' },
    voice: { audio: tone(), ptt: true, waveform: new Uint8Array(64), ...audio },
    audio: { audio: bytes.subarray(1), ...audio },
    sticker: { sticker: bytes.subarray(2), mimetype: 'image/webp' },
  };
  for (const [kind, content] of Object.entries(files)) {
    const came = await told(kind, content);
    const file = content.image ?? content.video ?? content.document ?? content.audio ?? content.sticker;
    assert.equal(came.media.sha256, sha256(file), kind);
    assert.equal(sha256(await waxwing.file(came.media.id)), sha256(file), kind);
    assert.equal(came.text ?? undefined, content.caption, kind);
    assert.equal(came.media.fileName ?? undefined, content.fileName, kind);
  }
});

/** What a message asks, where it is a poll. */
function pollOf(message) {
  return message.pollCreationMessage ?? message.pollCreationMessageV2 ?? message.pollCreationMessageV3;
}

/** A vote on a poll, sealed as apps do: Baileys opens votes and gives none. */
function vote(poll, option, { creator, voter }) {
  const { id } = poll.key;
  const secret = Buffer.from(poll.message.messageContextInfo.messageSecret);
  const extracted = createHmac('sha256', Buffer.alloc(32)).update(secret).digest();
  const use = Buffer.concat([Buffer.from(`${id}${creator}${voter}Poll Vote`), Buffer.from([1])]);
  const sealing = createHmac('sha256', extracted).update(use).digest();
  const encIv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', sealing, encIv).setAAD(Buffer.from(`${id}\0${voter}`));
  const chosen = createHash('sha256').update(option).digest();
  const plain = proto.Message.PollVoteMessage.encode({ selectedOptions: [chosen] }).finish();
  const encPayload = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return {
    pollUpdateMessage: {
      pollCreationMessageKey: { ...poll.key, remoteJid: creator },
      vote: { encPayload, encIv },
      senderTimestampMs: Date.now(),
    },
  };
}
