import type { Config } from "../config.ts";
import { openEmbeddedPostgres } from "../embedded/open-embedded-postgres.ts";
import { openSecretKey } from "../embedded/secret-key.ts";
import { createCloser, type Closer } from "../lib/closing/closer.ts";
import { UserError } from "../lib/errors.ts";
import { createChatHash } from "../lib/secrets/chat-hash.ts";
import { createLogger, type LogLevel } from "../lib/logger.ts";
import { createSecretBox, type SecretBox } from "../lib/secrets/secret-box.ts";
import { createLogEvents, type LogEvents } from "./log-events.ts";
import { openDatabase, type Database } from "../store/postgres/database.ts";
import { keepLocksToOwner } from "../store/postgres/keep-locks-to-owner.ts";
import { assertMigrated, migrateLedger } from "../store/postgres/migrate.ts";

/** The ground of every command that touches the data. */
export interface Base {
  readonly config: Config;
  readonly database: Database;
  readonly databaseUrl: string;
  readonly simulated: boolean;
  /** @throws UserError `no-secret-key` where there is none */
  readonly secrets: () => SecretBox;
  /** The key that secrets are sealed with: 32 bytes. @throws UserError `no-secret-key` */
  readonly secretKey: () => Uint8Array;
  readonly events: LogEvents;
  readonly closer: Closer;
}

export interface BaseOptions {
  readonly defaultLogLevel: LogLevel;
  /** Connections to Postgres, beside BullMQ's own. */
  readonly maxConnections: number;
  /** Create or update the tables, instead of asking for `avatars migrate`. The embedded mode always does. */
  readonly migrate: boolean;
  /** Works on the simulator's instance and no other, which no other process does: a queue of its own. */
  readonly simulated?: boolean;
  readonly signal: AbortSignal;
}

/**
 * Opens the database of DATABASE_URL, or the embedded one. That has its data and its secret key in the data folder.
 * @throws UserError
 */
export async function openBase(config: Config, options: BaseOptions): Promise<Base> {
  const logger = createLogger(config.logLevel ?? options.defaultLogLevel);
  const hashKey = config.secretKey ?? Buffer.from("no key: hashes are not comparable with others");
  let events = createLogEvents(logger, createChatHash(hashKey, "chat ids in logs"));
  const closer = createCloser((name, error) => events.closeFailed(name, error));
  try {
    let { databaseUrl, secretKey } = config;
    if (databaseUrl === undefined) {
      const postgres = await openEmbeddedPostgres({
        dataDir: config.dataDir,
        signal: options.signal,
        log: (event, fields) => events.embedded(event, fields),
      });
      closer.add("embedded Postgres", () => postgres.close());
      databaseUrl = postgres.url;
      secretKey ??= await openSecretKey(config.dataDir);
      events = createLogEvents(logger, createChatHash(secretKey, "chat ids in logs"));
    }
    const embedded = config.databaseUrl === undefined;
    const database = await openDatabase({
      url: databaseUrl,
      maxConnections: options.maxConnections,
      onConnectionLost: (error) => events.connectionLost(error),
    });
    closer.add("database", () => database.close());
    if (embedded || options.migrate) await migrateAll(database, databaseUrl, config);
    else await assertMigrated(database.pool);
    if (embedded) await keepLocksToOwner(database.pool);
    const box = secretKey && createSecretBox(secretKey);
    return {
      config,
      database,
      databaseUrl,
      simulated: options.simulated ?? false,
      secrets: () => box ?? failWithoutKey(),
      secretKey: () => secretKey ?? failWithoutKey(),
      events,
      closer,
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

async function migrateAll(database: Database, databaseUrl: string, config: Config): Promise<void> {
  await migrateLedger(database.pool);
  if (config.redisUrl !== undefined) return;
  // BullMQ takes half a second to load, which most commands can do without.
  const { migrateQueue } = await import("../queue/migrate-queue.ts");
  await migrateQueue(databaseUrl);
}

function failWithoutKey(): never {
  throw new UserError(
    "no-secret-key",
    "AVATARS_SECRET_KEY must be set: it encrypts the tokens in the database, and all processes need the same; make one with: openssl rand -base64 32",
  );
}
