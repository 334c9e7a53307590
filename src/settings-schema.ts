import { resolve } from "node:path";
import { z } from "zod";
import { parseApiHosts } from "./domain/api-host.ts";
import { parseHostPorts } from "./domain/host-port.ts";
import { parseWindow } from "./domain/resync/daily-window.ts";
import { instanceTokenForm, isInstanceToken } from "./domain/instance-token.ts";
import { parseTimeZone } from "./domain/resync/time-zone.ts";
import { parseTrustedProxies } from "./lib/trusted-proxies.ts";
import {
  wholeNumber,
  milliseconds,
  kept,
  url,
  rate,
  duration,
  interval,
  parsedBy,
  cronOrOff,
  share,
  instanceId,
} from "./setting-kinds.ts";

/** Every setting of every command. The table in docs/configuration.md is checked against it. */
export const settingsSchema = z.object({
  DATABASE_URL: url("postgres:", "postgresql:").optional(),
  REDIS_URL: url("redis:", "rediss:").optional(),
  GREEN_API_URL: url("http:", "https:").optional(),
  GREEN_API_ID_INSTANCE: instanceId.optional(),
  GREEN_API_TOKEN: z
    .string()
    .trim()
    .refine(isInstanceToken, `${instanceTokenForm}: apiTokenInstance, as the console shows it`)
    .optional(),
  AVATARS_SECRET_KEY: z
    .string()
    .transform((text) => Buffer.from(text, "base64"))
    .refine((key) => key.length === 32, "32 bytes in base64; make one with: openssl rand -base64 32")
    .optional(),
  AVATARS_SOURCE_URL: url("postgres:", "postgresql:").optional(),
  AVATARS_SOURCE_TIMEOUT_MS: milliseconds(60_000),
  AVATARS_SOURCE_QUERY: z.string().optional(),
  AVATARS_SOURCE_INSTANCE: instanceId.optional(),
  AVATARS_SOURCE_DEFAULT_COUNTRY: z
    .string()
    .trim()
    .regex(/^[a-z]{2}$/i, "a country code of two letters, e.g. DE")
    .optional(),
  AVATARS_SOURCE_GONE: z.enum(["keep", "stop"], "keep or stop").default("keep"),
  AVATARS_REQUESTS_PER_SECOND: rate.default(10),
  AVATARS_MAX_IN_FLIGHT: wholeNumber(1, 100_000).optional(),
  AVATARS_OLDEST_SHARE: z.coerce
    .number("a number")
    .min(0, "at least 0")
    .max(0.5, "at most 0.5")
    .default(0.05),
  AVATARS_CALL_TIMEOUT_MS: milliseconds(70_000),
  AVATARS_MAX_ATTEMPTS: wholeNumber(1, 1000).default(5),
  AVATARS_RETRY_BASE_MS: milliseconds(2_000, 0),
  AVATARS_RETRY_MAX_MS: milliseconds(300_000, 0),
  AVATARS_PROBE_BASE_MS: milliseconds(15_000),
  AVATARS_PROBE_MAX_MS: milliseconds(600_000),
  AVATARS_REFRESH_PRESENT: interval.prefault("7d"),
  AVATARS_REFRESH_ABSENT: interval.prefault("14d"),
  AVATARS_REFRESH_HIDDEN: interval.prefault("30d"),
  AVATARS_REFRESH_INVALID: interval.prefault("never"),
  AVATARS_REFRESH_UNREACHABLE: interval.prefault("1d"),
  AVATARS_REFRESH_UNREACHABLE_MAX: duration("1h", "30d"),
  AVATARS_REFRESH_GROUPS_PRESENT: interval.optional(),
  AVATARS_REFRESH_GROUPS_ABSENT: interval.optional(),
  AVATARS_REFRESH_GROUPS_HIDDEN: interval.optional(),
  AVATARS_REFRESH_SOONEST: duration("1h", "1d"),
  AVATARS_REFRESH_LATEST: duration("1h", "60d"),
  AVATARS_KEEP_URLS_FRESH: z
    .stringbool({
      truthy: ["true", "1", "yes", "on"],
      falsy: ["false", "0", "no", "off"],
      error: "true or false",
    })
    .prefault("true"),
  AVATARS_URL_MARGIN: duration("0", "1d"),
  AVATARS_RESYNC_CRON: parsedBy(cronOrOff).prefault("0 2 * * *"),
  AVATARS_RESYNC_TZ: parsedBy(parseTimeZone).prefault("UTC"),
  AVATARS_RESYNC_WINDOW: parsedBy(parseWindow).prefault("02:00-06:00"),
  AVATARS_RESYNC_SHARE: share.default(1),
  AVATARS_RESYNC_DAY_SHARE: share.default(0.3),
  AVATARS_RUN_SLICE_MS: milliseconds(30_000),
  AVATARS_RUNS_PER_PROCESS: wholeNumber(1, 10_000).default(250),
  AVATARS_SHUTDOWN_GRACE_MS: milliseconds(25_000, 0),
  AVATARS_KEEP_CHANGES: kept("365d"),
  AVATARS_KEEP_BATCHES: kept("90d"),
  AVATARS_DATA_DIR: z
    .string()
    .min(1)
    .default(".avatars")
    .transform((path) => resolve(path)),
  // Checked together: images/blobs/parse-images-setting.ts. Those of AWS_* stand in for ours.
  AVATARS_IMAGES: z.string().optional(),
  AVATARS_S3_ENDPOINT: z.string().optional(),
  AVATARS_S3_REGION: z.string().optional(),
  AVATARS_S3_ACCESS_KEY_ID: z.string().optional(),
  AVATARS_S3_SECRET_ACCESS_KEY: z.string().optional(),
  AVATARS_S3_PATH_STYLE: z.string().optional(),
  AWS_REGION: z.string().optional(),
  AWS_DEFAULT_REGION: z.string().optional(),
  AWS_ACCESS_KEY_ID: z.string().optional(),
  AWS_SECRET_ACCESS_KEY: z.string().optional(),
  AWS_SESSION_TOKEN: z.string().optional(),
  HOST: z.string().trim().default("127.0.0.1"),
  PORT: wholeNumber(0, 65_535).default(3_000),
  AVATARS_API_REQUESTS_PER_MINUTE: wholeNumber(1, 1_000_000).default(3_000),
  AVATARS_TRUSTED_PROXIES: parsedBy(parseTrustedProxies).optional(),
  AVATARS_API_HOSTS: parsedBy(parseApiHosts).optional(),
  AVATARS_IMAGE_HOSTS: parsedBy(parseHostPorts).optional(),
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  METRICS_HOST: z.string().trim().default("127.0.0.1"),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).optional(),
});

/** The settings, read and with their defaults. */
export type Settings = z.infer<typeof settingsSchema>;
