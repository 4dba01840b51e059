// A stubbed gamepad moves the arm, closes the jaws and records: `node gamepad.mjs URL`.
import {kept, opened, real, say, state, wait} from "./opened.mjs";

const [url] = process.argv.slice(2);
const {browser, page, complaints} = await opened(url, {
  size: {width: 1024, height: 700},
  before: fresh => fresh.addInitScript(() => {
    // The Gamepad API is the one input that browsers offer no way to drive: the page asks this stub.
    window.pad = {id: "stub", connected: true, axes: [0, 0, 0, 0], buttons: Array.from({length: 17}, () => ({pressed: false, value: 0}))};
    navigator.getGamepads = () => [window.pad];
  }),
});
const press = async (number, value = 1) => {
  await page.evaluate(([n, v]) => (window.pad.buttons[n] = {pressed: v > 0.5, value: v}), [number, value]);
  await wait(150);
};
// Held until the commanded tip has gone 5 cm, however long this machine takes for that.
const commanded = () => page.evaluate(() => Object.values(window.robokata.commands)[0].slice(0, 3));
const push = async axes => {
  const start = await commanded();
  await page.evaluate(a => (window.pad.axes = a), axes);
  await page.waitForFunction(
    from => Math.hypot(...Object.values(window.robokata.commands)[0].slice(0, 3).map((x, i) => x - from[i])) > 0.05,
    start, {timeout: 30000});
  await page.evaluate(() => (window.pad.axes = [0, 0, 0, 0]));
  await wait(800);
  return state(page);
};
const nudge = async () => {
  await page.evaluate(() => (window.pad.axes = [0, -1, 0, 0]));
  await wait(300);
  await page.evaluate(() => (window.pad.axes = [0, 0, 0, 0]));
  await wait(500);
};
await nudge();
const device = await page.evaluate(() => window.robokata.device);
await press(0);
await page.waitForFunction(() => window.robokata.status.phase === "recording");
await press(0, 0);
await wait(300);
const before = await state(page);
const forward = await push([0, -1, 0, 0]), right = await push([1, 0, 0, 0]), down = await push([0, 0, 0, 1]);
await press(7);
await page.waitForFunction(() => Object.values(window.robokata.commands)[0][7] < 0.001, null, {timeout: 10000});
const closed = await state(page);
await press(0);
await press(0, 0);
await kept(page, 1);
say({device, complaints: real(complaints), before, forward, right, down, closed, after: await state(page)});
await browser.close();
