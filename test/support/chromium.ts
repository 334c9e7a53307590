import { accessSync, constants } from "node:fs";
import { chromium, type Browser, type BrowserContext } from "playwright-core";

/** Debian's package `chromium`; set TEST_CHROMIUM to the path of another one. */
const path = process.env["TEST_CHROMIUM"] ?? "/usr/bin/chromium";

/** Starts a browser that asks no host outside; undefined where there is none on this machine. */
export async function openChromium(): Promise<Browser | undefined> {
  if (!isThere()) return undefined;
  return chromium.launch({
    executablePath: path,
    args: [
      // It does not run as root otherwise, and knows only pages of ours.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-proxy-server",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
}

function isThere(): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a context asked, and what it was not allowed to. */
export interface Watched {
  /** URLs of other hosts: none of them is asked. */
  readonly outside: readonly string[];
  /** What the browser held against the page: errors, and breaches of its content policy. */
  readonly complaints: readonly string[];
}

/** Lets a context ask `origin` alone, and writes down what it would have asked of others. */
export async function watchContext(context: BrowserContext, origin: string): Promise<Watched> {
  const outside: string[] = [];
  const complaints: string[] = [];
  // Not by a route for all: what is intercepted does not meet the password of the challenge.
  await context.route(
    (url) => url.origin !== origin && !["data:", "blob:", "about:"].includes(url.protocol),
    async (route) => {
      outside.push(route.request().url());
      await route.abort();
    },
  );
  context.on("console", (message) => {
    if (message.type() === "error" || /content.security.policy/i.test(message.text())) {
      complaints.push(message.text());
    }
  });
  context.on("weberror", (error) => complaints.push(error.error().message));
  return { outside, complaints };
}
