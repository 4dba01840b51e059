// Open the page, wait for pictures, take a screenshot: `node look.mjs URL FILE [WIDTH HEIGHT]`.
import {opened, real, say, state, wait} from "./opened.mjs";

const [url, file, width = "1440", height = "900"] = process.argv.slice(2);
const {browser, page, complaints} = await opened(url, {size: {width: Number(width), height: Number(height)}});
await page.waitForFunction(() => [...document.querySelectorAll("#cameras img")].every(image => image.naturalWidth === 640));
await page.waitForFunction(() => window.robokata.status.latency_ms?.p50 < 100, null, {timeout: 60_000}).catch(() => null);
await wait(1500);
await page.screenshot({path: file});
say({complaints: real(complaints), state: await state(page)});
await browser.close();
