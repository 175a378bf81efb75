'use strict';

const { invoice } = require('./util');

/**
 * Answers with an invoice as HTML; with `"pdf": true` as a PDF in base64, printed by the Chromium in `node_modules`.
 *
 * Event: `{"customer": "Ada", "lines": [{"what": "Engine", "amount": 12.5}], "pdf": false}`
 */
exports.handler = async (event) => {
  const html = invoice(event);
  if (!event.pdf) return { html };
  // Loaded late: most calls want HTML, and Chromium takes a second to unpack.
  const { default: chromium } = await import('@sparticuz/chromium');
  const { launch } = await import('puppeteer-core');
  const browser = await launch({ args: chromium.args, executablePath: await chromium.executablePath(), headless: 'shell' });
  try {
    const page = await browser.newPage();
    await page.setContent(html);
    return { pdf: Buffer.from(await page.pdf({ format: 'A4' })).toString('base64') };
  } finally {
    await browser.close();
  }
};
