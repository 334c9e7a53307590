import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApiToken } from "../../src/lib/secrets/api-token.ts";
import { openApiStage, type ApiStage, type TestApi } from "../support/api-stage.ts";

/** So many requests without a valid key are answered with 401 a minute, of each address. */
const allowed = 300;

let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage();
});
afterAll(() => stage.close());

const from = (address: string) => ({ "x-forwarded-for": address });

const clients = 8;

/** Fails as often as it is allowed, with another made-up key each time, and at last once more. */
async function useUp(api: TestApi, toAddress: (index: number) => string): Promise<void> {
  let unauthorized = 0;
  let next = 0;
  const client = async () => {
    while (next < allowed) {
      const index = next++;
      const headers = from(toAddress(index));
      const { status } = await api.call("/v1/instances", { key: createApiToken().token, headers });
      if (status === 401) unauthorized += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  // Those at the same time as the last ones may be refused with them.
  expect(unauthorized).toBeGreaterThan(allowed - clients);
  expect(unauthorized).toBeLessThanOrEqual(allowed);
  expect(await call(api, toAddress(allowed), createApiToken().token)).toBe(429);
}

const call = async (api: TestApi, address: string, key: string) =>
  (await api.call("/v1/instances", { key, headers: from(address) })).status;

describe("behind a proxy that is trusted", () => {
  let api: TestApi;

  beforeAll(async () => {
    api = await stage.serve({ settings: { trustedProxies: ["loopback", "10.0.0.0/8"] } });
  });

  test("made-up keys of one caller keep neither its good keys out nor anybody else", async () => {
    await useUp(api, () => "192.0.2.1");
    // No process has seen these before.
    expect(await call(api, "192.0.2.1", await stage.createKey())).toBe(200);
    expect(await call(api, "192.0.2.2", await stage.createKey())).toBe(200);
    expect(await call(api, "192.0.2.1", createApiToken().token)).toBe(429);
    expect(await call(api, "192.0.2.2", createApiToken().token)).toBe(401);
    const refused = await api.call("/v1/instances", {
      key: createApiToken().token,
      headers: from("192.0.2.1"),
    });
    expect(refused.json()).toMatchObject({ code: "rate-limited", detail: expect.stringContaining("key") });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  });

  test("what a caller has written itself before the proxies did counts for nothing", async () => {
    await useUp(api, (index) => `203.0.113.${index % 250}, 192.0.2.3, 10.1.2.3`);
    expect(await call(api, "192.0.2.3", createApiToken().token)).toBe(429);
    expect(await call(api, "203.0.113.7", createApiToken().token)).toBe(401);
  });

  test("a network of IPv6 is one caller", async () => {
    await useUp(api, (index) => `2001:db8:0:7:${(index + 1).toString(16)}::${index}`);
    expect(await call(api, "2001:db8:0:8::1", createApiToken().token)).toBe(401);
  });
});

test("without one, X-Forwarded-For is not believed", async () => {
  const api = await stage.serve();
  await useUp(api, (index) => `203.0.113.${index % 250}`);
  expect(await call(api, "203.0.113.251", await stage.createKey())).toBe(200);
});
