'use strict';

// What all handlers share: an answer that tells which edits are live.

const { existsSync, readdirSync } = require('node:fs');
const { join } = require('node:path');

// A deployment without the dependencies fails, wherever a tool puts them.
require.resolve('handlebars');

const SHARED = 0;

const GENERATED = join(__dirname, '../src/generated');

/** Each figure is the number of the last edit of its kind. */
exports.answer = (name, edited) => ({
  name,
  edited,
  shared: SHARED,
  generated: readdirSync(GENERATED).reduce((sum, file) => sum + require(join(GENERATED, file)).version, 0),
  bundle: require('../dist/bundle').version,
  added: existsSync(join(__dirname, 'added.js')),
});
