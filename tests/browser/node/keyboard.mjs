// Solve lift with real key presses, looking only at what the page shows its operator: `node keyboard.mjs URL SHOTS`.
import {kept, opened, real, say, state, wait} from "./opened.mjs";

const [url, shots] = process.argv.slice(2);
const {browser, page, complaints} = await opened(url, {size: {width: 1280, height: 760}});
const down = new Set();

async function hold(keys) {
  for (const key of [...down]) if (!keys.has(key)) { await page.keyboard.up(key); down.delete(key); }
  for (const key of keys) if (!down.has(key)) { await page.keyboard.down(key); down.add(key); }
}

const yawOf = ([qx, qy, qz, qw]) => Math.atan2(2 * (qx * qy + qz * qw), 1 - 2 * (qx * qx + qz * qz)); // of x
const jawsYaw = q => { // the jaws move along the tip's y
  const [qx, qy, qz, qw] = q;
  return Math.atan2(1 - 2 * (qx * qx + qz * qz), 2 * (qx * qy - qz * qw));
};
const quarter = angle => angle - Math.round(angle / (Math.PI / 2)) * Math.PI / 2;

// Press the keys that bring the tip nearer for as long as that takes, look, and press again: this works on slow machines.
async function goTo(wanted, {seconds = 120, close_m = 0.005, yaw = true} = {}) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    const now = await settled(), tip = now.commands.arm, cube = now.objects[0];
    const error = wanted(cube, tip).map((value, axis) => value - tip[axis]);
    const cubeYaw = Math.atan2(2 * (cube[3] * cube[4] + cube[5] * cube[6]), 1 - 2 * (cube[4] ** 2 + cube[5] ** 2));
    const turn = yaw ? quarter(cubeYaw - jawsYaw(tip.slice(3))) : 0;
    const presses = [["w", "s"], ["a", "d"], ["r", "f"]].map((pair, axis) => [pair[error[axis] > 0 ? 0 : 1], Math.abs(error[axis]), close_m, 0.22]);
    presses.push([turn > 0 ? "q" : "e", Math.abs(turn), 0.05, 0.9]);
    const due = presses.filter(([, size, close]) => size > close);
    if (!due.length) return true;
    for (const [key, size, , speed] of due) {
      const fine = size / speed < 0.25, seconds = 0.8 * size / (speed * (fine ? 0.25 : 1));
      await hold(new Set(fine ? ["Shift", key] : [key]));
      await wait(Math.min(seconds * 1000, 700));
      await hold(new Set());
    }
  }
  return false;
}

// The page's news once the last press has had its effect.
async function settled() {
  for (let before = null; ; await wait(60)) {
    const now = await state(page);
    if (before && now.number > before.number + 3 && Math.hypot(...now.commands.arm.map((value, index) => value - before.commands.arm[index])) < 1e-4) return now;
    before = now;
  }
}

await page.keyboard.press("Enter");
await page.waitForFunction(() => window.robokata.status.phase === "recording");
const steps = {};
steps.above = await goTo(cube => [cube[0], cube[1], 0.12], {close_m: 0.01});
await page.screenshot({path: `${shots}/recording.png`});
steps.down = await goTo(cube => [cube[0], cube[1], 0.018]);
await page.keyboard.press("Space");
await page.waitForFunction(() => window.robokata.openings.arm < 0.6);
await wait(600);
steps.up = await goTo((cube, tip) => [tip[0], tip[1], 0.16], {yaw: false});
await page.waitForFunction(() => window.robokata.status.success, null, {timeout: 10000});
const before = await state(page);
await page.screenshot({path: `${shots}/success.png`});
await page.keyboard.press("Enter");
await kept(page, 1);
await page.screenshot({path: `${shots}/kept.png`});
const after = await state(page);
say({steps, complaints: real(complaints), before, after});
await browser.close();
