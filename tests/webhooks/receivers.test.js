// The receivers that docs/webhooks.md prints, run as they stand there, as webhooks of a local stack.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { User, pair, sandbox, until } from '../node/stack.mjs';
import { example, programs } from './lib/document.js';
import { Receiver } from './lib/receiver.js';
import { Relay } from './lib/relay.js';
import { signature, signedAnew } from './lib/sign.js';

const HOOK = '/api/instances/sales/webhook';

/** Some other secret. */
const NOBODYS = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** An instance whose webhook is a relay that leads to a receiver of this program. */
async function hooked(t, program) {
  const user = await User.register();
  await user.api('POST', '/api/instances', { name: 'sales' });
  const relay = await Relay.start(t);
  const { secret } = await user.api('PUT', HOOK, { url: relay.url, events: ['message.received'] });
  const receiver = await Receiver.start(t, program, secret);
  relay.leadsTo(receiver);
  return { user, relay, receiver, secret };
}

/** A text comes in: the request that tells of it. */
async function told({ user, relay }, text) {
  const { phone } = await pair(user, 'sales');
  const bob = await sandbox('POST', '/admin/phones', { name: 'Bob' });
  await sandbox('POST', `/admin/phones/${bob.phone}/send`, { to: phone, kind: 'text', text });
  return relay.heard(({ data }) => data.text === text);
}

/** A test event: the request that tells of it. */
async function tried({ user, relay }) {
  const { eventId } = await user.api('POST', `${HOOK}/test`);
  return relay.heard(({ id }) => id === eventId);
}

/** The request with another body, and with other headers. */
const withBody = ({ headers, body }, change) => ({ headers, body: change(Buffer.from(body)) });
const withHeaders = ({ headers, body }, others) => ({ headers: { ...headers, ...others }, body });

/** Requests that are not what Waxwing sends now, made of one that was. */
function forgeries(genuine, secret) {
  const good = genuine.headers['webhook-signature'];
  const { 'webhook-signature': _, ...unsigned } = genuine.headers;
  const signed = (text) => withHeaders(genuine, { 'webhook-signature': text });
  return {
    'a changed byte': withBody(genuine, (body) => Buffer.from(body.toString().replace('hello', 'hellp'))),
    'a byte that is no text': withBody(genuine, (body) => (body.writeUInt8(0xff, body.indexOf('hello')), body)),
    'another id': withHeaders(genuine, { 'webhook-id': 'evt_01KDVM8E00G2081040G2081040' }),
    'another time': withHeaders(genuine, { 'webhook-timestamp': `${Number(genuine.headers['webhook-timestamp']) + 1}` }),
    'no time': withHeaders(genuine, { 'webhook-timestamp': 'soon' }),
    'ten minutes ago': signedAnew(genuine, secret, -600),
    'in ten minutes': signedAnew(genuine, secret, 600),
    'another secret': signedAnew(genuine, NOBODYS),
    'no signature': { headers: unsigned, body: genuine.body },
    'an empty signature': signed('v1,'),
    'half a signature': signed(good.slice(0, -4)),
    'a signature without a version': signed(good.slice('v1,'.length)),
    'a signature of another version': signed(good.replace('v1,', 'v2,')),
    'words for a signature': signed('I am Waxwing'),
  };
}

test('the document prints receivers in three languages, and an example of a signature', () => {
  assert.deepEqual(programs.map(({ language }) => language), ['js', 'python', 'php']);
  const { secret, id, seconds, body } = example;
  assert.equal(signature(secret, id, seconds, body), example.signature);
});

for (const program of programs) {
  test(`${program.command}: what is genuine is taken, and nothing else`, async (t) => {
    const world = await hooked(t, program);
    const genuine = await told(world, 'hello');
    assert.equal(genuine.answered, 204);
    await until('what it says', () => world.receiver.said.includes(`message.received ${genuine.event.id}`));
    await until('the log', async () => {
      const [delivery] = await world.user.api('GET', `${HOOK}/deliveries?event=${genuine.event.id}`);
      return delivery?.state === 'succeeded';
    });
    for (const [what, forged] of Object.entries(forgeries(genuine, world.secret))) {
      delete forged.headers['content-length'];
      assert.equal(await world.receiver.asked(forged), 401, what);
    }
    assert.equal(await world.receiver.asked(genuine), 204, 'it is well still');
    assert.equal(await world.receiver.asked(signedAnew(genuine, world.secret, -200)), 204, 'clocks differ a little');
  });

  test(`${program.command}: without a secret nothing is taken`, async (t) => {
    const receiver = await Receiver.start(t, program, '').catch(({ message }) => assert.match(message, / ended \(/));
    // It does not even start, or it takes no request that is signed with the empty key.
    if (receiver) {
      const headers = { 'content-type': 'application/json', 'webhook-id': example.id };
      const forged = signedAnew({ headers, body: Buffer.from(example.body) }, 'whsec_');
      assert.equal(await receiver.asked(forged), 500);
    }
  });

  test(`${program.command}: old and new secret verify while they change`, async (t) => {
    const world = await hooked(t, program);
    assert.equal((await tried(world)).answered, 204);
    const rotate = (graceSeconds) => world.user.api('POST', `${HOOK}/rotate-secret`, { graceSeconds });
    const renewed = await Receiver.start(t, program, (await rotate(3_600)).secret);
    const during = await tried(world);
    assert.equal(during.headers['webhook-signature'].split(' ').length, 2);
    assert.equal(during.answered, 204, 'the old secret');
    assert.equal(await renewed.asked(during), 204, 'the new one');

    const latest = await Receiver.start(t, program, (await rotate(0)).secret);
    world.relay.leadsTo(latest);
    const after = await tried(world);
    assert.equal(after.answered, 204);
    for (const old of [world.receiver, renewed]) assert.equal(await old.asked(after), 401, 'the grace is over');
  });
}
