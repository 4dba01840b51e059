// A page of `kata collect sim` in a real Chromium, with everything that it complains about.

import {chromium} from "playwright-core";

export const FLAGS = [
  "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
  "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

export async function opened(url, {before, size = {width: 1440, height: 900}} = {}) {
  const browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS});
  const context = await browser.newContext({viewport: size, ignoreHTTPSErrors: true, deviceScaleFactor: 1});
  const page = await context.newPage(), complaints = [];
  page.on("console", message => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", error => complaints.push(String(error)));
  if (before) await before(page);
  await page.goto(url);
  await page.waitForFunction(() => window.robokata?.link.hasClock && window.robokata.state && window.robokata.status.phase, null, {timeout: 90_000});
  return {browser, context, page, complaints};
}

// Swiftshader says that reading pixels back is slow; that is a fact of the test's machine, not of the page.
export const real = complaints => complaints.filter(text => !/GL Driver Message|swiftshader|GPU stall/i.test(text));
export const state = page => page.evaluate(() => ({...window.robokata.state, status: window.robokata.status}));
export const wait = ms => new Promise(done => setTimeout(done, ms));
export const say = what => console.log(JSON.stringify(what));

export async function kept(page, count) {
  await page.waitForFunction(
    n => window.robokata.status.recordings?.filter(recording => recording.stage === "done").length >= n, count, {timeout: 120_000});
}
