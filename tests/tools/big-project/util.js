'use strict';

const Handlebars = require('handlebars');

const template = Handlebars.compile(`<h1>Invoice for {{customer}}</h1>
<table>
{{#each lines}}<tr><td>{{what}}</td><td>{{money amount}}</td></tr>
{{/each}}</table>
<p>Total: {{money total}}</p>
`);

Handlebars.registerHelper('money', (amount) => amount.toFixed(2));

/** An invoice as HTML. Whatever the caller sends is escaped. */
exports.invoice = ({ customer = 'nobody', lines = [] }) =>
  template({ customer, lines, total: lines.reduce((sum, { amount }) => sum + amount, 0) });
