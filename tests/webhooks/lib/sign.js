// Signatures by the Standard Webhooks specification, with nothing but node's own means.

import { createHmac } from 'node:crypto';

/** The signature of a request. */
export function signature(secret, id, seconds, body) {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest('base64')}`;
}

/** The same request, signed with this secret so many seconds from now. */
export function signedAnew({ headers, body }, secret, seconds = 0) {
  const at = Math.floor(Date.now() / 1000) + seconds;
  const id = headers['webhook-id'];
  return {
    headers: { ...headers, 'webhook-timestamp': `${at}`, 'webhook-signature': signature(secret, id, at, body) },
    body,
  };
}
