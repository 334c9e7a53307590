import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";
import { watchContext, type Watched } from "./chromium.ts";

/** A browser that is logged in to the console. */
export interface ConsoleBrowser {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly watched: Watched;
  /** Goes to a place, as `#/batches`, and waits for its title. */
  goTo(place: string, title: string | RegExp): Promise<void>;
}

/** A busy machine is slow; what is wrong should not take long to fail. */
const patienceMs = 15_000;

/** Logs in as a person does it. */
export async function openConsole(browser: Browser, url: string, key: string): Promise<ConsoleBrowser> {
  const context = await browser.newContext();
  context.setDefaultTimeout(patienceMs);
  const watched = await watchContext(context, new URL(url).origin);
  const page = await context.newPage();
  await page.goto(`${url}/console/`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  return {
    context,
    page,
    watched,
    async goTo(place, title) {
      await page.goto(`${url}/console/${place}`);
      await page.getByRole("heading", { level: 1, name: title }).waitFor();
    },
  };
}

interface AxeFinding {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly target: readonly string[] }[];
}

const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** The faults that keep people from using the page, as axe finds them: the serious and the critical ones. */
export async function findBarriers(page: Page): Promise<string[]> {
  // By the debugger, which the page's content policy does not bind.
  await page.evaluate(await readFile(axePath, "utf8"));
  const findings = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: AxeFinding[] }> } };
    return (await axe.run()).violations;
  });
  return findings
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

/** What the browser has held against the pages, but for answers that were meant to be refusals. */
export function expectNoComplaints({ outside, complaints }: Watched): void {
  const unexpected = complaints.filter((text) => !/Failed to load resource/.test(text));
  expect({ outside, unexpected }).toEqual({ outside: [], unexpected: [] });
}
