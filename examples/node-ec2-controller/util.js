'use strict';

// What both handlers share: who may call, which instance it is about, and how an answer looks.

const { createHash, timingSafeEqual } = require('node:crypto');

/**
 * The token a caller sent: the bearer token of an HTTP event (function URL or API Gateway), or `token` of a
 * direct invocation. `undefined` if there is none.
 */
function tokenOf(event) {
  const headers = event?.headers ?? {};
  const name = Object.keys(headers).find((key) => key.toLowerCase() === 'authorization');
  const bearer = name && /^Bearer +(\S+) *$/i.exec(headers[name]);
  return bearer ? bearer[1] : event?.token;
}

/**
 * Whether two tokens are equal, in a time that depends on neither. Both are hashed first because
 * `timingSafeEqual` wants equal lengths, and to compare lengths would tell them.
 */
function sameToken(given, expected) {
  const digest = (text) => createHash('sha256').update(text).digest();
  return typeof given === 'string' && timingSafeEqual(digest(given), digest(expected));
}

/** An HTTP answer with a JSON body. */
function respond(statusCode, body) {
  return {
    statusCode,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify(body),
  };
}

/**
 * A handler that checks the caller and the settings, then lets `change(instanceId)` do its work.
 *
 * Settings come from the environment: `TOKEN`, which callers must know, and `INSTANCE_ID`. With `DRY_RUN=1`
 * everything is checked, EC2 is not called, and the answer says what would have been done.
 *
 * @param {string} action what the handler does, for answers and log: "start" or "stop"
 * @param {(instanceId: string) => Promise<string>} change does it, and returns the instance's new state
 */
function controller(action, change) {
  return async function handler(event) {
    const { TOKEN, INSTANCE_ID, DRY_RUN } = process.env;
    if (!TOKEN) return respond(500, { error: 'TOKEN is not set: nobody may call this function' });
    if (!sameToken(tokenOf(event), TOKEN)) return respond(401, { error: 'wrong or missing token' });
    if (!/^i-[0-9a-f]{8,17}$/.test(INSTANCE_ID ?? '')) {
      return respond(500, { error: 'INSTANCE_ID is not set to an instance id such as i-0123456789abcdef0' });
    }
    if (DRY_RUN === '1') return respond(200, { action, instance: INSTANCE_ID, dryRun: true });
    try {
      return respond(200, { action, instance: INSTANCE_ID, state: await change(INSTANCE_ID) });
    } catch (error) {
      // The reason belongs in the log: it can name accounts and roles, which callers need not know.
      console.error(JSON.stringify({ action, instance: INSTANCE_ID, error: error.name, message: error.message }));
      return respond(502, { action, instance: INSTANCE_ID, error: `EC2 refused: ${error.name}` });
    }
  };
}

/** The EC2 SDK, loaded when it is first needed: a refused call or a dry run does not wait for it. */
const ec2 = () => require('@aws-sdk/client-ec2');

/** One client per process: its connections and credentials are good for the next call too. */
let client;
function send(command) {
  client ??= new (ec2().EC2Client)({});
  return client.send(command);
}

module.exports = { controller, ec2, respond, sameToken, send, tokenOf };
