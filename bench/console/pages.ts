import type { Page } from "playwright-core";

/** A page of the console, and how to know that it is of use. */
export interface ConsolePage {
  readonly name: string;
  /** Behind the hash. */
  readonly place: string;
  readonly isLoggedOut?: boolean;
  /** In place of an address of the console: the page is not ours, and has no target. */
  readonly url?: string;
  /** Resolves when the data of the page is shown, and not only its title. */
  readonly shown: (page: Page) => Promise<unknown>;
  /** Uses its first control, and resolves when the page has answered. */
  readonly used: (page: Page) => Promise<unknown>;
}

export interface Subjects {
  readonly instanceId: string;
  readonly batchId: string;
  readonly webhookId: string;
}

/** At least so many rows in a table of the page. */
async function rows(page: Page, count: number): Promise<void> {
  await page
    .locator("tbody tr")
    .nth(count - 1)
    .waitFor();
}

/** At least so many thumbnails. */
async function face(page: Page, count: number): Promise<void> {
  await page
    .locator(".face")
    .nth(count - 1)
    .waitFor();
}

async function opensDialog(page: Page, button: string): Promise<void> {
  await page.getByRole("button", { name: button }).click();
  await page.getByRole("dialog").waitFor();
}

/** What a browser takes for any page. */
export const emptyPage: ConsolePage = {
  name: "(an empty page)",
  place: "",
  url: "data:text/html,<button onclick='this.textContent = 2'>1</button>",
  shown: (page) => page.getByRole("button", { name: "1" }).waitFor(),
  used: async (page) => {
    await page.getByRole("button").click();
    await page.getByRole("button", { name: "2" }).waitFor();
  },
};

export function toPages({ instanceId, batchId, webhookId }: Subjects): ConsolePage[] {
  return [
    {
      name: "Login",
      place: "overview",
      isLoggedOut: true,
      shown: (page) => page.getByLabel("API key").waitFor(),
      used: async (page) => {
        await page.getByLabel("API key").fill("avk_none.none");
        await page.getByRole("button", { name: "Log in" }).click();
        await page.getByRole("alert").waitFor();
      },
    },
    {
      name: "Overview",
      place: "overview",
      shown: (page) => rows(page, 200),
      used: async (page) => {
        await page.getByLabel("Find an instance").fill(instanceId);
        await page.locator("tbody tr").nth(1).waitFor({ state: "detached" });
      },
    },
    {
      name: "Instance",
      place: `instances/${instanceId}`,
      shown: async (page) => Promise.all([page.locator(".facts").waitFor(), page.locator("form").waitFor()]),
      used: async (page) => {
        await page.locator("[name=callsPerDay]").fill("100");
        await page.getByRole("button", { name: "Save" }).focus();
      },
    },
    {
      name: "Batches",
      place: "batches",
      shown: (page) => rows(page, 50),
      used: async (page) => {
        await page.locator("[name=state]").selectOption("cancelled");
        await page.locator("tbody .badge", { hasText: "Done" }).first().waitFor({ state: "detached" });
        await rows(page, 1);
      },
    },
    {
      name: "A batch",
      place: `batches/${batchId}`,
      shown: (page) => rows(page, 50),
      used: async (page) => {
        await page.locator("[name=status]").selectOption("hidden");
        await page.locator("tbody", { hasText: "Has a picture" }).waitFor({ state: "detached" });
        await rows(page, 1);
      },
    },
    {
      name: "Gallery",
      place: "gallery",
      shown: async (page) =>
        Promise.all([face(page, 60), page.locator(".chip", { hasText: /\d/ }).first().waitFor()]),
      used: async (page) => {
        await page.locator(".chip", { hasText: "Hidden" }).click();
        await page.locator(".face", { hasText: "Has a picture" }).first().waitFor({ state: "detached" });
        await face(page, 60);
      },
    },
    {
      name: "A contact",
      place: "contacts/7",
      shown: async (page) => page.locator(".person .why").waitFor(),
      used: (page) => opensDialog(page, "Erase"),
    },
    {
      name: "Nights",
      place: "nights",
      // The worst of the plan, and the last nights.
      shown: (page) => rows(page, 60),
      used: async (page) => {
        await page.locator("[name=instance]").selectOption(instanceId);
        await page.getByRole("link", { name: "Madrid Care" }).first().waitFor({ state: "detached" });
        await rows(page, 30);
      },
    },
    {
      name: "Webhooks",
      place: "webhooks",
      shown: (page) => rows(page, 20),
      used: (page) => opensDialog(page, "Add a webhook"),
    },
    {
      name: "A webhook",
      place: `webhooks/${webhookId}`,
      shown: async (page) => Promise.all([page.locator(".facts").waitFor(), rows(page, 50)]),
      used: (page) => opensDialog(page, "New secret"),
    },
    {
      name: "API keys",
      place: "keys",
      shown: (page) => rows(page, 100),
      used: (page) => opensDialog(page, "Make a key"),
    },
    {
      name: "Audit log",
      place: "audit",
      shown: (page) => rows(page, 50),
      used: async (page) => {
        await page.getByRole("button", { name: "Load more" }).click();
        await rows(page, 51);
      },
    },
  ];
}
