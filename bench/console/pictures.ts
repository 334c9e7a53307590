import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { BrowserContext } from "playwright-core";
import type { ConsolePage } from "./pages.ts";

const looks = [
  { name: "wide-light", colorScheme: "light", width: 1280 },
  { name: "wide-dark", colorScheme: "dark", width: 1280 },
  { name: "narrow-light", colorScheme: "light", width: 360 },
  { name: "narrow-dark", colorScheme: "dark", width: 360 },
] as const;
const height = 900;

/** Takes a picture of what each page shows first, in each look, for people to look at. */
export async function takePictures(
  context: BrowserContext,
  url: string,
  pages: readonly ConsolePage[],
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const page = await context.newPage();
  for (const { place, shown, name } of pages) {
    for (const look of looks) {
      await page.emulateMedia({ colorScheme: look.colorScheme });
      await page.setViewportSize({ width: look.width, height });
      await page.goto(`${url}/console/#/${place}`);
      await shown(page);
      const file = `${name.toLowerCase().replaceAll(" ", "-")}-${look.name}.png`;
      await page.screenshot({ path: join(folder, file) });
    }
  }
  await page.close();
}
