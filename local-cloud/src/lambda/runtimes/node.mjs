// The runtime client for Node.js functions: loads the handler, then takes one invocation after the other from the
// Lambda Runtime API. It behaves as AWS's own client does, in what handlers and callers can see: CommonJS and ES
// modules, async and callback handlers, the context object, errors and their names, the format of the log.

import { createRequire } from 'node:module';
import { existsSync, writeSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { pathToFileURL } from 'node:url';
import util from 'node:util';

const env = process.env;
const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const taskRoot = env.LAMBDA_TASK_ROOT;
const STREAMING = Symbol('streaming');

/** The request id of the current invocation, for the log. */
let currentRequestId;

// --- The Runtime API -------------------------------------------------------------------------------------------------

function call(method, route, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { host, port, method, agent, path: `/2018-06-01/runtime/${route}`, headers: { ...headers } };
    if (body !== undefined) {
      options.headers['Content-Length'] = Buffer.byteLength(body);
    }
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

function postError(route, shown) {
  const headers = { 'Content-Type': 'application/json', 'Lambda-Runtime-Function-Error-Type': shown.errorType };
  return call('POST', route, JSON.stringify(shown), headers);
}

// --- Errors ----------------------------------------------------------------------------------------------------------

class RuntimeError extends Error {
  constructor(name, message, cause) {
    super(message);
    this.name = `Runtime.${name}`;
    if (cause?.stack) {
      this.stack = `${this.name}: ${message}\n${cause.stack.split('\n').slice(1).join('\n')}`;
    }
  }
}

/** What the caller gets to see of an error. */
function errorResponse(error) {
  if (util.types.isNativeError(error) || error instanceof Error) {
    return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? '').split('\n') };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

/** What the log gets to see of an error: its own properties, too. */
function errorForLog(error) {
  if (!(util.types.isNativeError(error) || error instanceof Error)) {
    return errorResponse(error);
  }
  const own = Object.fromEntries(Object.entries(error).filter(([name]) => name !== 'name'));
  return { errorType: error.name, errorMessage: error.message, ...own, stack: (error.stack ?? '').split('\n') };
}

function json(value) {
  try {
    return JSON.stringify(value);
  } catch {
    return util.inspect(value);
  }
}

// --- The log ---------------------------------------------------------------------------------------------------------

// Written at once: the process may be stopped right after it answered.
function writeLog(text) {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') {
        return;
      }
    }
  }
}

function log(level, text) {
  writeLog(`${new Date().toISOString()}\t${currentRequestId ?? 'undefined'}\t${level}\t${text}\n`);
}

function patchConsole() {
  const levels = { log: 'INFO', info: 'INFO', debug: 'DEBUG', warn: 'WARN', error: 'ERROR', trace: 'TRACE' };
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...args) => log(level, util.format(...args));
  }
  console.fatal = (...args) => log('FATAL', util.format(...args));
}

// --- Loading the handler ---------------------------------------------------------------------------------------------

/** Splits `dir/module.export.path` into directory, module and the path of exports. */
function splitHandler(text) {
  const name = path.basename(text);
  const directory = text.slice(0, text.length - name.length);
  const match = /^([^.]*)\.(.*)$/.exec(name);
  if (text.includes('..') || !match || match[1] === '' || match[2] === '') {
    throw new RuntimeError('MalformedHandlerName', `Bad handler '${text}'`);
  }
  return [directory, match[1], match[2]];
}

async function importModule(directory, name) {
  const base = path.resolve(taskRoot, directory, name);
  const required = createRequire(path.join(taskRoot, 'index.js'));
  // ES modules are imported; what may be either is required first, as a CommonJS module that fails says more.
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    const file = base + extension;
    if (!existsSync(file) || (extension === '' && path.extname(file) === '' && isDirectory(file))) {
      continue;
    }
    if (extension === '.mjs' || (extension !== '.cjs' && isEsModule(file))) {
      return import(pathToFileURL(file).href);
    }
    return requireOrImport(required, file);
  }
  // A package in node_modules, or a directory with an index.
  return requireOrImport(required, required.resolve(directory ? `./${directory}${name}` : name, {
    paths: [path.resolve(taskRoot, directory), taskRoot],
  }), () => required.resolve(base));
}

function requireOrImport(required, file) {
  try {
    return required(file);
  } catch (error) {
    if (error.code === 'ERR_REQUIRE_ESM' || error.code === 'ERR_REQUIRE_ASYNC_MODULE') {
      return import(pathToFileURL(file).href);
    }
    throw error;
  }
}

function isDirectory(file) {
  return existsSync(path.join(file, '.'));
}

/** Whether the nearest package.json, within the code, makes a `.js` file an ES module. */
function isEsModule(file) {
  const required = createRequire(file);
  for (let directory = path.dirname(file); directory.startsWith(taskRoot); directory = path.dirname(directory)) {
    const manifest = path.join(directory, 'package.json');
    if (existsSync(manifest)) {
      return required(manifest).type === 'module';
    }
  }
  return false;
}

async function loadHandler(text) {
  const [directory, name, exportPath] = splitHandler(text);
  let module;
  try {
    module = await importModule(directory, name);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new RuntimeError('UserCodeSyntaxError', error.toString(), error);
    }
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
      throw new RuntimeError('ImportModuleError', error.toString(), error);
    }
    throw error;
  }
  const find = (root) => exportPath.split('.').reduce((value, part) => value?.[part], root);
  const handler = find(module) ?? find(module?.default);
  if (handler === undefined) {
    throw new RuntimeError('HandlerNotFound', `${text} is undefined or not exported`);
  }
  if (typeof handler !== 'function') {
    throw new RuntimeError('HandlerNotFound', `${text} is not a function`);
  }
  return handler;
}

// --- One invocation --------------------------------------------------------------------------------------------------

function contextOf(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const clientContext = headers['lambda-runtime-client-context'];
  const identity = headers['lambda-runtime-cognito-identity'];
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: clientContext ? JSON.parse(clientContext) : undefined,
    identity: identity ? JSON.parse(identity) : undefined,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

/** Resolves with the handler's result: of its promise, of its callback, or nothing once there is nothing left to do. */
function runHandler(handler, event, context) {
  return new Promise((resolve, reject) => {
    const idle = () => settle(resolve, null);
    const settle = (how, value) => {
      process.off('beforeExit', idle);
      how(value);
    };
    const callback = (error, result) => {
      const finish = () => (error === undefined || error === null ? settle(resolve, result) : settle(reject, error));
      if (!context.callbackWaitsForEmptyEventLoop || (error !== undefined && error !== null)) {
        setImmediate(finish);
        return;
      }
      process.off('beforeExit', idle);
      process.once('beforeExit', finish);
    };
    context.done = callback;
    context.succeed = (result) => {
      context.callbackWaitsForEmptyEventLoop = false;
      callback(null, result);
    };
    context.fail = (error) => callback(error ?? 'handled');
    process.once('beforeExit', idle);
    if (handler[STREAMING]) {
      stream(handler, event, context).then((body) => settle(resolve, body), (error) => settle(reject, error));
      return;
    }
    const result = handler(event, context, callback);
    if (typeof result?.then === 'function') {
      result.then((value) => settle(resolve, value), (error) => settle(reject, error));
    }
  });
}

/** A streaming handler's output, collected: callers of Invoke get it in one piece. */
async function stream(handler, event, context) {
  const output = new PassThrough();
  output.setContentType = () => {};
  const chunks = [];
  output.on('data', (chunk) => chunks.push(Buffer.from(chunk)));
  const ended = new Promise((resolve, reject) => output.on('end', resolve).on('error', reject));
  await handler(event, output, context);
  await ended;
  return new RawBody(Buffer.concat(chunks));
}

class RawBody {
  constructor(bytes) {
    this.bytes = bytes;
  }
}

globalThis.awslambda = {
  streamifyResponse: (handler) => Object.assign(handler, { [STREAMING]: true }),
  HttpResponseStream: { from: (output, prelude) => {
    output.write(Buffer.concat([Buffer.from(JSON.stringify(prelude)), Buffer.alloc(8)]));
    return output;
  } },
};

function encode(result) {
  if (result instanceof RawBody) {
    return result.bytes;
  }
  try {
    return JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch {
    throw new RuntimeError('MarshalError', 'Unable to stringify response body');
  }
}

async function handle(handler, invocation) {
  const id = invocation.headers['lambda-runtime-aws-request-id'];
  currentRequestId = id;
  env._X_AMZN_TRACE_ID = invocation.headers['lambda-runtime-trace-id'] ?? '';
  try {
    const event = JSON.parse(invocation.body.toString('utf8'));
    const body = encode(await runHandler(handler, event, contextOf(invocation.headers)));
    await call('POST', `invocation/${id}/response`, body, { 'Content-Type': 'application/json' });
  } catch (error) {
    log('ERROR', `Invoke Error \t${json(errorForLog(error))}`);
    await postError(`invocation/${id}/error`, errorResponse(error));
  }
}

// --- The process -----------------------------------------------------------------------------------------------------

/** An error that nobody caught ends the process, and the invocation with it. */
function dieOf(what, exitCode) {
  return (error) => {
    const shown = what === 'Uncaught Exception' ? error
      : new RuntimeError('UnhandledPromiseRejection', String(error), error);
    log('ERROR', `${what} \t${json(errorForLog(shown))}`);
    const route = currentRequestId === undefined ? 'init/error' : `invocation/${currentRequestId}/error`;
    // A connection of its own: the usual one may be busy with the poll.
    agent.maxSockets = 2;
    const exit = () => process.exit(exitCode);
    postError(route, errorResponse(shown)).then(exit, exit);
  };
}

patchConsole();
process.on('uncaughtException', dieOf('Uncaught Exception', 129));
process.on('unhandledRejection', dieOf('Unhandled Promise Rejection', 128));

let handler;
try {
  handler = await loadHandler(env._HANDLER);
} catch (error) {
  log('ERROR', `Uncaught Exception \t${json(errorForLog(error))}`);
  await postError('init/error', errorResponse(error));
  process.exit(1);
}

for (;;) {
  let invocation;
  try {
    invocation = await call('GET', 'invocation/next');
  } catch {
    // The local cloud is gone.
    process.exit(1);
  }
  await handle(handler, invocation);
}
