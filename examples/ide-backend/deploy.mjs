// An IDE backend's "Save": the changed files go into the artifact by the zipedit function, then every function that
// runs the artifact is pointed at the version that came of it.
//
//   node deploy.mjs s3://BUCKET/KEY FUNCTION... < changes.json

import {
  GetFunctionCommand,
  InvokeCommand,
  LambdaClient,
  UpdateFunctionCodeCommand,
} from '@aws-sdk/client-lambda';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const lambda = new LambdaClient({ maxAttempts: 5 });

/** What zipedit threw. `type` is one of the stable names, such as `Conflict`; the artifact is as it was. */
export class ZipeditError extends Error {
  constructor(type, message) {
    super(message);
    this.name = 'ZipeditError';
    this.type = type;
  }
}

/** Edits the artifact. `changes`: name → text, `{ base64 }`, `{ text, mode }`, or `null` to delete. */
export async function edit(src, changes, { zipedit = 'zipedit', ...options } = {}) {
  const event = { src, changes, ...options };
  // The same event twice leaves the same artifact, so a call that nobody answered is simply made again.
  for (let attempt = 1; ; attempt++) {
    const answer = await lambda.send(
      new InvokeCommand({ FunctionName: zipedit, Payload: JSON.stringify(event) }),
    );
    const payload = JSON.parse(Buffer.from(answer.Payload).toString());
    if (!answer.FunctionError) return payload;
    const error = new ZipeditError(payload.errorType, payload.errorMessage);
    // Another writer was faster, several times in a row.
    if (error.type !== 'Conflict' || attempt === 3) throw error;
    await sleep(100 * 2 ** attempt * Math.random());
  }
}

/** Points a function at a version of the artifact, and waits until it runs it. */
export async function update(name, src, versionId) {
  const [, bucket, key] = src.match(/^(?:s3:\/\/)?([^/]+)\/(.+)$/);
  const sent = await lambda.send(
    new UpdateFunctionCodeCommand({
      FunctionName: name,
      S3Bucket: bucket,
      S3Key: key,
      // Without it, a function could get what somebody else has written meanwhile.
      S3ObjectVersion: versionId ?? undefined,
    }),
  );
  for (let pause = 200; ; pause = Math.min(pause * 1.5, 1000)) {
    await sleep(pause);
    // GetFunction has a quota of its own; GetFunctionConfiguration shares one with the updates.
    const { Configuration: now } = await lambda.send(new GetFunctionCommand({ FunctionName: name }));
    if (now.LastUpdateStatus === 'InProgress') continue;
    if (now.LastUpdateStatus === 'Failed') throw new Error(`${name}: ${now.LastUpdateStatusReason}`);
    if (now.CodeSha256 !== sent.CodeSha256) throw new Error(`${name}: somebody else updated it meanwhile`);
    return { name, codeSha256: now.CodeSha256 };
  }
}

/** One save, from the changed files to functions that run them. */
export async function deploy(src, changes, functions) {
  const edited = await edit(src, changes);
  const updated = await Promise.allSettled(functions.map((name) => update(name, src, edited.versionId)));
  return {
    ...edited,
    functions: updated.map((one, at) => one.value ?? { name: functions[at], error: String(one.reason.message) }),
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [src, ...functions] = process.argv.slice(2);
  let input = '';
  for await (const chunk of process.stdin) input += chunk;
  try {
    const done = await deploy(src, JSON.parse(input), functions);
    console.log(JSON.stringify(done));
    process.exitCode = done.functions.some((one) => one.error) ? 1 : 0;
  } catch (error) {
    console.log(JSON.stringify({ errorType: error.type ?? error.name, errorMessage: error.message }));
    process.exitCode = 1;
  }
}
