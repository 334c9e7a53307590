import type { Browser, BrowserContext, HTTPCredentials, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { readDocument } from "../support/api-document.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { openChromium, watchContext, type Watched } from "../support/chromium.ts";

const browser: Browser | undefined = await openChromium();
if (browser === undefined) {
  const remark =
    "there is no Chromium: no test opens the documentation in a browser (apt-get install chromium)";
  if (process.env["CI"]) throw new Error(remark);
  process.stderr.write(`\n!!! ${remark}\n\n`);
}

let stage: ApiStage;
let context: BrowserContext | undefined;
let watched: Watched;

beforeAll(async () => {
  stage = await openApiStage();
});
afterEach(async () => {
  await context?.close();
  context = undefined;
});
afterAll(async () => {
  await browser?.close();
  await stage.close();
});

/** As a person does it who is asked: nothing is sent before. */
async function openPage(password?: string): Promise<Page> {
  const httpCredentials: HTTPCredentials | undefined =
    password === undefined ? undefined : { username: "me", password, send: "unauthorized" };
  context = await browser!.newContext({ ...(httpCredentials && { httpCredentials }) });
  watched = await watchContext(context, stage.url);
  return context.newPage();
}

test.runIf(browser)(
  "the documentation opens with a key as the password that the browser asks for",
  async () => {
    const page = await openPage(stage.key);
    const answer = await page.goto(`${stage.url}/docs`);
    expect(answer?.status()).toBe(200);
    const { operations } = readDocument((await stage.call("/openapi.json")).text);
    await page.locator(".opblock").first().waitFor();
    expect(await page.locator(".opblock").count()).toBe(operations.length);
    expect(await page.title()).toBe("contact-avatars");
    // Neither a bar that opens other documents, nor the logo of a tool.
    expect(await page.locator(".topbar, .download-url-wrapper, img").count()).toBe(0);
    const icon = await page.locator("link[rel=icon]").getAttribute("href");
    const drawn = await stage.call(new URL(icon ?? "", `${stage.url}/docs`).pathname);
    expect([drawn.status, drawn.headers["content-type"]]).toEqual([200, "image/svg+xml"]);
    await page.locator("#operations-Batches-createBatch .opblock-summary-control").click();
    await page.locator("#operations-Batches-createBatch").getByText("Try it out").click();
    await page.locator("#operations-Batches-createBatch").getByText("Execute").waitFor();
    const picture = process.env["TEST_SCREENSHOTS"];
    if (picture !== undefined) await page.screenshot({ path: `${picture}/docs.png` });
    expect(watched).toEqual({ outside: [], complaints: [] });
  },
);

test.runIf(browser)("a wrong password opens nothing", async () => {
  const page = await openPage(`avk_${"0".repeat(12)}.${"A".repeat(43)}`);
  const answer = await page.goto(`${stage.url}/docs`);
  expect(answer?.status()).toBe(401);
  expect(await page.locator(".opblock").count()).toBe(0);
});

test.runIf(browser)("who types the address alone finds the way to the documentation", async () => {
  const page = await openPage(stage.key);
  const answer = await page.goto(`${stage.url}/`);
  expect([answer?.status(), page.url()]).toEqual([200, `${stage.url}/console/`]);
  await page.getByRole("link", { name: "documentation" }).click();
  await page.locator(".opblock").first().waitFor();
  expect(watched.outside).toEqual([]);
});
