// A headset session through the emulated runtime, which moves every arm: `node headset.mjs URL SHOTS`.
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {kept, opened, real, say, state, wait} from "./opened.mjs";

const [url, shots] = process.argv.slice(2);
const runtime = readFileSync(createRequire(import.meta.url).resolve("iwer/build/iwer.min.js").replace(/\?.*$/, ""), "utf8");
const {browser, page, complaints} = await opened(url, {
  size: {width: 560, height: 360}, // the headset's picture is as large as the window: drawn in software here
  before: async fresh => {
    // Chromium has a navigator.xr of its own: the emulated one must be told to take its place.
    await fresh.addInitScript(runtime);
    await fresh.addInitScript(() => {
      const emulator = window.IWER ?? window.iwer;
      window.device = new emulator.XRDevice(emulator.metaQuest3);
      window.device.installRuntime({forceInstall: true});
    });
  },
});
const isSecure = await page.evaluate(() => isSecureContext);
const before = await state(page), names = Object.keys(before.tips);
await page.click("#tab-headset");
await page.waitForFunction(() => !document.getElementById("enter-vr").disabled);
await page.evaluate(() => {
  window.device.position.set(0, 1.6, 0);
  window.device.controllers.left.position.set(-0.25, 1.1, -0.4);
  window.device.controllers.right.position.set(0.25, 1.1, -0.4);
});
await page.click("#enter-vr");
await page.waitForFunction(() => window.robokata.devices.headset.session && window.robokata.device === "headset");
await page.waitForFunction(n => Object.keys(window.robokata.devices.headset.hands).length === n, names.length);
await page.evaluate(() => window.robokata.act("record"));
await page.waitForFunction(() => window.robokata.status.phase === "recording");
// With an open clutch the hands move and the arms do not.
const still = await state(page);
await moveHands(page, {up: 0.1, ahead: 0, out: 0});
await wait(400);
const unclutched = await state(page);
for (const hand of ["left", "right"]) await page.evaluate(h => window.device.controllers[h].updateButtonValue("squeeze", 1), hand);
await wait(400);
const clutched = await state(page);
await moveHands(page, {up: 0.06, ahead: 0.05, out: 0.04});
await wait(900);
const moved = await state(page);
await page.screenshot({path: `${shots}/headset.png`});
await page.evaluate(() => ["left", "right"].forEach(h => window.device.controllers[h].updateButtonValue("trigger", 1)));
await page.waitForFunction(() => Object.values(window.robokata.commands).every(command => command[7] < 0.001), null, {timeout: 10000});
await page.evaluate(() => ["left", "right"].forEach(h => window.device.controllers[h].updateButtonValue("trigger", 0)));
await wait(500);
await page.evaluate(() => window.robokata.act("keep"));
await kept(page, 1);
say({isSecure, names, complaints: real(complaints), still, unclutched, clutched, moved, yaw_rad: await page.evaluate(() => window.robokata.yaw_rad), after: await state(page)});
await browser.close();

// Both hands in twenty steps: up, ahead (away from the operator), and apart; each is seen before the next is made.
async function moveHands(page, {up, ahead, out}) {
  for (let step = 0; step < 20; step++) {
    const before = await page.evaluate(() => window.robokata.link.sequence);
    await page.evaluate(([du, da, dout]) => {
      for (const [hand, sign] of [["left", -1], ["right", 1]]) {
        const p = window.device.controllers[hand].position;
        p.set(p.x + sign * dout, p.y + du, p.z - da);
      }
    }, [up / 20, ahead / 20, out / 20]);
    await page.waitForFunction(n => window.robokata.link.sequence >= n + 4, before, {polling: 5});
  }
}
