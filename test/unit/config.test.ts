import fc from "fast-check";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { readConfig, settingNames } from "../../src/config.ts";
import { normalizeApiUrl } from "../../src/lib/api-url.ts";
import { UserError } from "../../src/lib/errors.ts";
import { defaultRefreshPolicy } from "../support/refresh.ts";
import { toResyncSchedule } from "../support/resync-schedule.ts";

const credentials = {
  GREEN_API_URL: "https://7103.api.greenapi.com/",
  GREEN_API_ID_INSTANCE: "1101000001",
  GREEN_API_TOKEN: "d75b3a66374942c5b3c019c698abc206",
};
const secretKey = Buffer.alloc(32, 7);

function readFault(env: Record<string, string>): UserError {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("the settings were accepted");
}

/** Fails when the fault of one setting, and of others beside it, shows its value. */
function neverShows(name: string, value: string): void {
  try {
    readConfig({ [name]: value, LOG_LEVEL: `loud${value}`, AVATARS_SECRET_KEY: `${value}!` });
  } catch (error) {
    const shown = error instanceof Error ? `${error.message}${error.stack}${String(error.cause)}` : "";
    expect(shown).toContain("LOG_LEVEL");
    expect(shown).not.toContain(value);
    return;
  }
  throw new Error("the settings were accepted");
}

describe("readConfig", () => {
  test("needs no setting at all", () => {
    expect(readConfig({ PATH: "/bin" })).toEqual({
      databaseUrl: undefined,
      redisUrl: undefined,
      greenApi: undefined,
      secretKey: undefined,
      sourceUrl: undefined,
      sourceTimeoutMs: 60_000,
      requestsPerSecond: 10,
      // The embedded database keeps images.
      refresh: { ...defaultRefreshPolicy, keepUrlsFresh: false },
      signalMaxAgeMs: 86_400_000,
      resync: {
        schedule: toResyncSchedule("0 2 * * *", "UTC", "02:00-06:00"),
        share: 1,
        dayShare: 0.3,
        source: undefined,
      },
      maxInFlight: undefined,
      oldestShare: 0.05,
      callTimeoutMs: 70_000,
      retry: { maxAttempts: 5, retryBaseMs: 2_000, retryMaxMs: 300_000 },
      probeBaseMs: 15_000,
      probeMaxMs: 600_000,
      runSliceMs: 30_000,
      runsPerProcess: 250,
      shutdownGraceMs: 25_000,
      keepChangesMs: 365 * 86_400_000,
      keepBatchesMs: 90 * 86_400_000,
      keepAuditMs: 400 * 86_400_000,
      dataDir: resolve(".avatars"),
      images: { kind: "directory", path: resolve(".avatars/images") },
      api: {
        host: "127.0.0.1",
        port: 3_000,
        consoleReveal: "on",
        requestsPerMinute: 3_000,
        imageRequestsPerMinute: 12_000,
        trustedProxies: [],
        hosts: [],
        basePath: "",
      },
      imageHosts: [],
      webhooks: { networks: undefined },
      imageFetch: { inFlight: 32, perHost: 16, bytesPerSecond: 50_000_000 },
      keepImages: "current",
      metricsPort: undefined,
      metricsHost: "127.0.0.1",
      logLevel: undefined,
      path: "/bin",
    });
  });

  const databaseUrl = "postgres://crm@db/crm";
  test.each([
    ["off where images are kept, in a folder", { AVATARS_IMAGES: "/var/lib/images" }, false],
    ["off where images are kept beside the embedded database", { DATABASE_URL: "" }, false],
    ["on where images are off", { AVATARS_IMAGES: "off", DATABASE_URL: "" }, true],
    ["on where nothing says where images are kept", {}, true],
    [
      "on where it is set so, images or not",
      { AVATARS_IMAGES: "/images", AVATARS_KEEP_URLS_FRESH: "yes" },
      true,
    ],
    ["off where it is set so, images or not", { AVATARS_KEEP_URLS_FRESH: "no" }, false],
  ])("keeping URLs fresh is %s", (_when, env, isKept) => {
    expect(readConfig({ DATABASE_URL: databaseUrl, ...env }).refresh.keepUrlsFresh).toBe(isKept);
  });

  test("reads every setting", () => {
    const config = readConfig({
      DATABASE_URL: "postgresql://crm:secret@db:5432/crm",
      REDIS_URL: "rediss://cache:6379/1",
      ...credentials,
      AVATARS_SECRET_KEY: secretKey.toString("base64"),
      AVATARS_SOURCE_URL: "postgres://reader:secret@crm/customers",
      AVATARS_SOURCE_TIMEOUT_MS: "5000",
      AVATARS_REQUESTS_PER_SECOND: "2.5",
      AVATARS_MAX_IN_FLIGHT: "7",
      AVATARS_CALL_TIMEOUT_MS: "1000",
      AVATARS_MAX_ATTEMPTS: "3",
      AVATARS_RETRY_BASE_MS: "0",
      AVATARS_RETRY_MAX_MS: "10",
      AVATARS_PROBE_BASE_MS: "30",
      AVATARS_PROBE_MAX_MS: "40",
      AVATARS_RUN_SLICE_MS: "20",
      AVATARS_RUNS_PER_PROCESS: "4",
      AVATARS_SHUTDOWN_GRACE_MS: "0",
      AVATARS_KEEP_CHANGES: " Forever",
      AVATARS_KEEP_BATCHES: "36h",
      AVATARS_DATA_DIR: "/var/lib/avatars",
      HOST: "::",
      PORT: "0",
      AVATARS_API_REQUESTS_PER_MINUTE: "60",
      AVATARS_API_HOSTS: "Gateway.example.com:8443",
      AVATARS_IMAGE_HOSTS: "127.0.0.1:8081, Storage.example.com:443",
      METRICS_PORT: "9464",
      METRICS_HOST: "0.0.0.0",
      LOG_LEVEL: "warn",
    });
    expect(config).toMatchObject({
      databaseUrl: "postgresql://crm:secret@db:5432/crm",
      redisUrl: "rediss://cache:6379/1",
      greenApi: {
        apiUrl: "https://7103.api.greenapi.com",
        instanceId: "1101000001",
        token: credentials.GREEN_API_TOKEN,
      },
      secretKey,
      sourceUrl: "postgres://reader:secret@crm/customers",
      sourceTimeoutMs: 5000,
      requestsPerSecond: 2.5,
      maxInFlight: 7,
      callTimeoutMs: 1000,
      retry: { maxAttempts: 3, retryBaseMs: 0, retryMaxMs: 10 },
      probeBaseMs: 30,
      probeMaxMs: 40,
      runSliceMs: 20,
      runsPerProcess: 4,
      shutdownGraceMs: 0,
      keepChangesMs: undefined,
      keepBatchesMs: 36 * 3_600_000,
      dataDir: "/var/lib/avatars",
      api: {
        host: "::",
        port: 0,
        requestsPerMinute: 60,
        imageRequestsPerMinute: 12_000,
        hosts: [{ name: "gateway.example.com", isDomain: false, port: "8443", schemes: ["https:", "http:"] }],
      },
      imageHosts: [
        { host: "127.0.0.1", port: 8081 },
        { host: "storage.example.com", port: 443 },
      ],
      metricsPort: 9464,
      metricsHost: "0.0.0.0",
      logLevel: "warn",
    });
  });

  test("takes an empty or blank variable for one that is not set", () => {
    const blank = Object.fromEntries(settingNames.map((name, index) => [name, index % 2 ? "" : "  "]));
    expect(readConfig({ ...blank, PATH: "/bin" })).toEqual(readConfig({ PATH: "/bin" }));
  });

  test("reports all faults at once, each with the name of its setting", () => {
    const faulty = {
      DATABASE_URL: "mysql://db",
      REDIS_URL: "localhost",
      GREEN_API_URL: "ftp://host",
      GREEN_API_ID_INSTANCE: "eleven",
      AVATARS_SECRET_KEY: "c2hvcnQ=",
      AVATARS_SOURCE_URL: "crm",
      AVATARS_SOURCE_TIMEOUT_MS: "0",
      AVATARS_REQUESTS_PER_SECOND: "0",
      AVATARS_MAX_IN_FLIGHT: "1.5",
      AVATARS_CALL_TIMEOUT_MS: "-1",
      AVATARS_MAX_ATTEMPTS: "none",
      AVATARS_RETRY_BASE_MS: "3e9",
      AVATARS_RETRY_MAX_MS: "x",
      AVATARS_PROBE_BASE_MS: "0",
      AVATARS_PROBE_MAX_MS: "1.5",
      AVATARS_RUN_SLICE_MS: "0",
      AVATARS_RUNS_PER_PROCESS: "0",
      AVATARS_SHUTDOWN_GRACE_MS: "soon",
      AVATARS_KEEP_CHANGES: "a year",
      AVATARS_KEEP_BATCHES: "23h",
      PORT: "65536",
      AVATARS_API_REQUESTS_PER_MINUTE: "0",
      AVATARS_API_HOSTS: "https://gateway.example.com",
      AVATARS_IMAGE_HOSTS: "storage.example.com",
      METRICS_PORT: "70000",
      LOG_LEVEL: "loud",
    };
    const fault = readFault(faulty);
    expect(fault).toMatchObject({ code: "invalid-settings", retryable: false });
    for (const name of Object.keys(faulty)) expect(fault.message).toContain(`${name} must be `);
    expect(fault.message).toContain("GREEN_API_TOKEN must be set too");
    expect(fault.message).not.toContain("\n");
  });

  test.each([
    [["GREEN_API_URL"], "GREEN_API_ID_INSTANCE and GREEN_API_TOKEN must be set too"],
    [["GREEN_API_URL", "GREEN_API_TOKEN"], "GREEN_API_ID_INSTANCE must be set too"],
    [["GREEN_API_ID_INSTANCE", "GREEN_API_TOKEN"], "GREEN_API_URL must be set too"],
  ])("with %j alone asks for the rest of the three", (names, text) => {
    const given = Object.entries(credentials).filter(([name]) => names.includes(name));
    expect(readFault(Object.fromEntries(given)).message).toContain(text);
  });

  test("never shows a value, which may be a secret", () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9+/]{12,60}$/);
    fc.assert(
      fc.property(secret, (value) => {
        for (const name of settingNames) neverShows(name, value);
      }),
      { numRuns: 15, examples: [["00aaa+0/a/0a"], ["123456789012"], ["aaaaaaaaaaaa/0"]] },
    );
  });

  test.each(["0", "-1d", "86399", "1d1h", "never", "101y", "40000d", "NaN"])(
    "does not take %j for a time to keep something",
    (text) => {
      expect(readFault({ AVATARS_KEEP_BATCHES: text }).message).toBe(
        "settings: AVATARS_KEEP_BATCHES must be forever, or a duration of 1d at least, such as 90d",
      );
    },
  );

  test.each(["two words", "a/b", "a+b", "токен", "t".repeat(129), 'a"b', String.raw`\a\a\azz1234`])(
    "does not take %j for a token, and does not show it",
    (token) => {
      expect(readFault({ ...credentials, GREEN_API_TOKEN: token }).message).toBe(
        'settings: GREEN_API_TOKEN must be 1 to 128 letters, digits, "-" and "_": apiTokenInstance, as the console shows it',
      );
    },
  );

  test("reads faults as sentences", () => {
    expect(
      readFault({ AVATARS_MAX_ATTEMPTS: "1001", AVATARS_RUN_SLICE_MS: "3e9", LOG_LEVEL: "x" }).message,
    ).toBe(
      'settings: AVATARS_MAX_ATTEMPTS must be at most 1000; AVATARS_RUN_SLICE_MS must be at most 2147483647; LOG_LEVEL must be one of "trace"|"debug"|"info"|"warn"|"error"|"fatal"|"silent"',
    );
  });
});

test.each([
  ["https://api.greenapi.com///", "https://api.greenapi.com"],
  [" https://host/v3/ ", "https://host/v3"],
])("the API URL %j becomes %j", (given, normal) => {
  expect(normalizeApiUrl(given)).toBe(normal);
});

test.each([
  ["https://crm.example.com/avatars/", "/avatars", true],
  ["https://crm.example.com", "/avatars", false],
  ["https://crm.example.com/other/avatars", "/avatars", false],
  ["https://crm.example.com/anything", undefined, true],
])("AVATARS_PUBLIC_URL %s and AVATARS_BASE_PATH %s belong together: %s", (publicUrl, basePath, isGood) => {
  const read = () => readConfig({ AVATARS_PUBLIC_URL: publicUrl, AVATARS_BASE_PATH: basePath });
  if (isGood) expect(read).not.toThrow();
  else expect(read).toThrow("AVATARS_PUBLIC_URL must have the path of AVATARS_BASE_PATH, /avatars");
});
