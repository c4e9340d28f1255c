// What socket.io-client makes of the ways in which a daemon lets a connection fail: which it comes back from by itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { User, until } from '../node/stack.mjs';
import { Follower } from './lib/follower.js';
import { Relay } from './lib/relay.js';

test('a client that is told why it is not let in does not come back', async (t) => {
  const follower = new Follower(t, 'nonsense');
  assert.equal(await follower.refused(), 'UNAUTHENTICATED');
  assert.equal(follower.socket.active, false);
});

test('a client whose connection is lost before it is let in comes back by itself', async (t) => {
  const user = await User.register();
  const relay = await Relay.start(t);
  relay.fates = ['lost', 'lost', 'lost'];
  const follower = new Follower(t, user.tokens.accessToken, { url: relay.url });
  await until('the feed', () => follower.socket.connected);
  assert.equal(relay.came, 4);
  assert.equal((await follower.ask('subscribe', {})).success, true);
});

test('a client that finds a daemon which stops comes back until another one takes it, and goes on', async (t) => {
  const user = await User.register();
  const relay = await Relay.start(t);
  const follower = new Follower(t, user.tokens.accessToken, { url: relay.url });
  const created = () => follower.events.filter(({ name }) => name === 'instance:created').map(({ data }) => data.data.name);
  follower.staysWith(t, user);
  await follower.goesOn();
  await user.api('POST', '/api/instances', { name: 'one' });
  await until('the first', () => created().length === 1);

  relay.fates = ['busy', 'busy', 'busy'];
  const ended = follower.ended();
  relay.cut();
  assert.match(await ended, /transport (close|error)/);
  await user.api('POST', '/api/instances', { name: 'two' });
  await until('what was missed', () => created().length === 2);
  assert.deepEqual(created(), ['one', 'two']);
  assert.equal(relay.came, 5);
});
