'use strict';

const { answer } = require('../lib/shared');

const EDITED = 0;

exports.handler = async () => answer('b', EDITED);
