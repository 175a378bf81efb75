'use strict';

const assert = require('node:assert/strict');
const { createServer } = require('node:http');
const { afterEach, beforeEach, test } = require('node:test');

const start = require('../start').handler;
const stop = require('../stop').handler;
const { sameToken, tokenOf } = require('../util');

const INSTANCE_ID = 'i-0123456789abcdef0';
const settings = { TOKEN: 'open-sesame', INSTANCE_ID, DRY_RUN: '1' };
const before = { ...process.env };

beforeEach(() => Object.assign(process.env, settings));
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
});

const withToken = (token) => ({ headers: { Authorization: `Bearer ${token}` } });
const bodyOf = (answer) => JSON.parse(answer.body);

test('a dry run says what each handler would do', async () => {
  for (const [handler, action] of [[start, 'start'], [stop, 'stop']]) {
    const answer = await handler(withToken(settings.TOKEN));
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(bodyOf(answer), { action, instance: INSTANCE_ID, dryRun: true });
  }
});

test('a direct invocation carries its token in the event', async () => {
  assert.equal((await start({ token: settings.TOKEN })).statusCode, 200);
});

test('a wrong, missing or odd token is refused', async () => {
  for (const event of [withToken('wrong'), withToken(`${settings.TOKEN}x`), {}, null, { token: 7 }, { token: '' }]) {
    assert.equal((await stop(event)).statusCode, 401, JSON.stringify(event));
  }
});

test('a function without a token of its own lets nobody in', async () => {
  delete process.env.TOKEN;
  assert.equal((await start(withToken(''))).statusCode, 500);
});

test('an instance id that is none is an error of the settings', async () => {
  for (const id of ['', 'i-', 'i-0123456789abcdef0,i-0123456789abcdef1']) {
    process.env.INSTANCE_ID = id;
    const answer = await start(withToken(settings.TOKEN));
    assert.equal(answer.statusCode, 500);
    assert.match(bodyOf(answer).error, /INSTANCE_ID/);
  }
});

test('the header is found whatever its case', () => {
  assert.equal(tokenOf({ headers: { authorization: 'bearer abc' } }), 'abc');
  assert.equal(tokenOf({ headers: { AUTHORIZATION: 'Bearer abc' } }), 'abc');
  assert.equal(tokenOf({ headers: { authorization: 'Basic abc' } }), undefined);
});

test('tokens of different lengths are compared without an exception', () => {
  assert.equal(sameToken('a', 'a'), true);
  assert.equal(sameToken('a', 'ab'), false);
  assert.equal(sameToken(undefined, 'ab'), false);
});

// The SDK's own client against a server that speaks EC2's protocol; skipped where `npm ci` was not run.
const installed = (() => {
  try {
    return Boolean(require.resolve('@aws-sdk/client-ec2'));
  } catch {
    return false;
  }
})();

test('the instance is started through the SDK, and a refusal becomes a 502', { skip: !installed }, async (t) => {
  const calls = [];
  const answers = [
    [200, `<StartInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><instancesSet><item>
      <instanceId>${INSTANCE_ID}</instanceId><currentState><code>0</code><name>pending</name></currentState>
      <previousState><code>80</code><name>stopped</name></previousState></item></instancesSet></StartInstancesResponse>`],
    [403, `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>role/secret may not</Message></Error></Errors>
      <RequestID>r</RequestID></Response>`],
  ];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (data) => (body += data));
    request.on('end', () => {
      calls.push(new URLSearchParams(body));
      const [status, xml] = answers[calls.length - 1];
      response.writeHead(status, { 'content-type': 'text/xml' }).end(xml);
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  Object.assign(process.env, {
    DRY_RUN: '0',
    AWS_ENDPOINT_URL_EC2: `http://127.0.0.1:${server.address().port}`,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  });
  t.mock.method(console, 'error', () => {});

  const started = await start(withToken(settings.TOKEN));
  assert.deepEqual(bodyOf(started), { action: 'start', instance: INSTANCE_ID, state: 'pending' });
  assert.equal(calls[0].get('Action'), 'StartInstances');
  assert.equal(calls[0].get('InstanceId.1'), INSTANCE_ID);

  const refused = await start(withToken(settings.TOKEN));
  assert.equal(refused.statusCode, 502);
  assert.deepEqual(bodyOf(refused), { action: 'start', instance: INSTANCE_ID, error: 'EC2 refused: UnauthorizedOperation' });
  assert.match(console.error.mock.calls.at(-1).arguments[0], /role\/secret may not/);
});
