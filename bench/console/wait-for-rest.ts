import { setTimeout as sleep } from "node:timers/promises";
import type { Browser } from "playwright-core";

const spanMs = 500;
/** Of one core. What stands idle takes less, a window that is being built far more. */
const restingShare = 0.1;
const mostSpans = 60;

/**
 * Waits until the browser has done what it does for a new window of its own accord: it loads the popup of its address bar, as a page of
 * some 400 files in a process of its own, which would take the cores from whatever page is opened then.
 * @throws after half a minute
 */
export async function waitForRest(browser: Browser): Promise<void> {
  const session = await browser.newBrowserCDPSession();
  try {
    const readCpuS = async () => {
      const { processInfo } = await session.send("SystemInfo.getProcessInfo");
      return new Map(processInfo.map(({ id, cpuTime }) => [id, cpuTime]));
    };
    let before = await readCpuS();
    for (let span = 0, still = 0; span < mostSpans; span += 1) {
      await sleep(spanMs);
      const now = await readCpuS();
      const usedS = [...now].reduce((sum, [id, cpuS]) => sum + cpuS - (before.get(id) ?? 0), 0);
      still = usedS < (restingShare * spanMs) / 1000 ? still + 1 : 0;
      if (still === 2) return;
      before = now;
    }
    throw new Error("the browser does not come to rest");
  } finally {
    await session.detach();
  }
}
