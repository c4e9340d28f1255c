// Lets every client's Signal operations run in that client's own context. `run.sh` has node load it before all else.
//
// libsignal has one queue for each address, for all clients of a process. Whoever finds a queue empty runs what others
// put into it meanwhile, in its own asynchronous context. Baileys keeps its open transaction in that context. So what one
// client encrypts for a phone while another client, most often a companion of that phone, works with the same address
// does not see the session that its transaction has just made: Baileys logs "No sessions" and sends the message to all
// devices but that phone. Programs with one account never meet this.

import { AsyncResource } from 'node:async_hooks';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const path = require.resolve('libsignal/src/queue_job.js');
const queue = require(path);
require.cache[path].exports = (address, job) => queue(address, AsyncResource.bind(job));
