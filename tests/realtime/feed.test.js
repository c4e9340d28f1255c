// The realtime feed under socket.io-client: who is let in, what is heard, how it ends and how it goes on.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { User, api, pair, sandbox, until } from '../node/stack.mjs';
import { Follower } from './lib/follower.js';

test('whoever has no good token is refused in the codes of the API', async (t) => {
  const user = await User.register();
  await user.api('POST', '/api/instances', { name: 'sales' });
  const key = await user.api('POST', '/api/instances/sales/keys', { name: 'a key', scopes: ['media:write'] });
  for (const [token, code] of [
    [undefined, 'UNAUTHENTICATED'],
    ['nonsense', 'UNAUTHENTICATED'],
    ['wak_test_nobody', 'UNAUTHENTICATED'],
    [key.key, 'INSUFFICIENT_SCOPE'],
  ]) {
    assert.equal(await new Follower(t, token).refused(), code);
  }
  const polling = new Follower(t, user.tokens.accessToken, { transports: ['polling'], reconnection: false });
  await assert.rejects(polling.connected());
});

test('a dashboard follows an instance from its creation to its messages', async (t) => {
  const user = await User.register();
  const follower = await new Follower(t, user.tokens.accessToken).connected();
  follower.staysWith(t, user);
  const nobody = await User.register();
  const stranger = await new Follower(t, nobody.tokens.accessToken).connected();
  stranger.staysWith(t, nobody);
  await Promise.all([follower.ask('subscribe', {}), stranger.ask('subscribe', {})]);
  const health = await follower.heard('system:health');
  assert.equal(health.checks.store, true);
  assert.match(health.timestamp, /\.\d{3}Z$/, 'milliseconds, as all times of events');

  const instance = await user.api('POST', '/api/instances', { name: 'sales', metadata: { team: 'blue' } });
  const created = await follower.heard('instance:created');
  assert.deepEqual(created.data, { id: instance.id, name: 'sales', network: 'sandbox' });

  await pair(user, 'sales');
  const qr = await follower.heard('qr:update');
  assert.equal(qr.type, 'session.qr');
  assert.equal(qr.data.attempt, 1);
  assert.ok(!JSON.stringify(qr).includes('2@'), 'the code itself is told to nobody');
  const connected = await follower.heard('connection:update', ({ data }) => data.status === 'CONNECTED');
  assert.deepEqual(connected.instance, { id: instance.id, name: 'sales', metadata: { team: 'blue' } });

  const { key } = await user.api('POST', '/api/instances/sales/keys', { name: 'a key' });
  const program = await new Follower(t, key).connected();
  await program.ask('subscribe', {});
  const bob = await sandbox('POST', '/admin/phones', { name: 'Bob' });
  const sent = await api('POST', '/api/messages/text', { to: bob.phone, text: 'hello Bob' }, key);
  for (const who of [follower, program]) {
    const status = await who.heard('message:status', ({ data }) => data.status === 'delivered');
    assert.equal(status.data.id, sent.id);
    const ids = who.events.filter(({ name }) => name === 'message:status').map(({ data }) => data.id);
    assert.equal(new Set(ids).size, ids.length, 'each state once');
  }
  const stats = await follower.heard('message:stats', ({ data }) => data.sent === 1);
  assert.equal(stats.instance.name, 'sales');

  // What messages say is told where the instance wants it alone.
  const say = (text) => sandbox('POST', `/admin/phones/${bob.phone}/send`, { to: connected.data.phone, kind: 'text', text });
  await say('a secret');
  const bare = await program.heard('message:received');
  assert.equal(bare.data.kind, 'text');
  assert.equal(bare.data.text, null);
  await user.api('PUT', '/api/instances/sales', { contentInRealtime: true });
  await until('what a message says', async () => {
    await say('no secret');
    await new Promise((resolve) => setTimeout(resolve, 500));
    return program.events.some(({ name, data }) => name === 'message:received' && data.data.text === 'no secret');
  });
  const ours = new Set(['system:health']);
  assert.deepEqual(stranger.events.filter(({ name }) => !ours.has(name)), [], 'nothing of it is for anybody else');
});

test('a client that lost its connection comes back and goes on behind what it has', async (t) => {
  const user = await User.register();
  const follower = new Follower(t, user.tokens.accessToken);
  const created = () => follower.events.filter(({ name }) => name === 'instance:created').map(({ data }) => data);
  follower.staysWith(t, user);
  await follower.goesOn();
  const names = (list) => list.map(({ data }) => data.name);
  await user.api('POST', '/api/instances', { name: 'one' });
  await until('the first', () => created().length === 1);

  const lost = follower.ended();
  follower.socket.io.reconnection(true);
  follower.socket.io.reconnectionDelay(1_000);
  follower.socket.io.engine.close();
  assert.match(await lost, /forced close|transport close/);
  await user.api('POST', '/api/instances', { name: 'two' });
  await user.api('POST', '/api/instances', { name: 'three' });
  if (!follower.socket.active) follower.socket.connect();
  await until('what was missed', () => created().length === 3);
  assert.deepEqual(names(created()), ['one', 'two', 'three']);

  const answer = await follower.ask('subscribe', { after: 'evt_01JD0000000000000000000000' });
  assert.equal(answer.data.resumed, false);
  await follower.heard('resync');
});

test('a revoked key ends its socket within seconds', async (t) => {
  const user = await User.register();
  await user.api('POST', '/api/instances', { name: 'sales' });
  const key = await user.api('POST', '/api/instances/sales/keys', { name: 'a key' });
  const program = await new Follower(t, key.key).connected();
  const ended = program.ended();
  await user.api('DELETE', `/api/instances/sales/keys/${key.id}`);
  assert.equal(await ended, 'io server disconnect');
  assert.equal((await program.heard('feed:ended')).code, 'UNAUTHENTICATED');
  assert.equal(await new Follower(t, key.key).refused(), 'UNAUTHENTICATED');
});

test('an expired access token ends the socket, and a refreshed one goes on', async (t) => {
  const user = await User.register();
  const first = user.tokens.accessToken;
  const [one, other] = [new Follower(t, first), new Follower(t, first)];
  await Promise.all([one.connected(), other.connected()]);
  const ended = other.ended();
  one.staysWith(t, user);
  // The stack of this suite has tokens of a minute.
  assert.equal(await ended, 'io server disconnect');
  assert.equal((await other.heard('feed:ended')).code, 'TOKEN_EXPIRED');
  assert.equal(one.socket.connected, true);
  assert.equal(await new Follower(t, first).refused(), 'TOKEN_EXPIRED');
});
