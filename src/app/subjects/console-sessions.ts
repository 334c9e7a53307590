import type { ApiKey, StoredApiKey } from "../../domain/api-key.ts";
import { createConsoleToken, hashConsoleToken } from "../../lib/secrets/console-token.ts";
import {
  deleteOldSessions,
  endConsoleSession,
  findConsoleSessions,
  storeConsoleToken,
  takeConsoleLink,
} from "../../store/api-keys/console-sessions.ts";
import type { Door } from "./door.ts";

/** A session that was just begun. */
export interface BegunSession {
  readonly token: string;
  readonly expiresAt: Date;
}

/** The sessions of the console. Tokens that are none are like those that have ended. */
export interface ConsoleSessions {
  /** Begins a session of the key. */
  begin(key: Pick<ApiKey, "id">): Promise<BegunSession>;
  /** Begins a session by a link, which opens no other then. Undefined: the link is none, used, or too old. */
  beginByLink(link: string): Promise<BegunSession | undefined>;
  /** Each session by its token, in any order, with its key as it is now, also where that was revoked. */
  findMany(tokens: readonly string[]): Promise<{ readonly id: string; readonly key: StoredApiKey }[]>;
  end(token: string): Promise<void>;
  /** Makes a link that begins a session of the key, once, within ten minutes. Returns its token. */
  offerLink(key: Pick<ApiKey, "id">): Promise<string>;
  removeOld(): Promise<void>;
}

const hourMs = 3_600_000;
const sessionMs = 8 * hourMs;
const linkMs = hourMs / 6;

export function createConsoleSessions({ quick }: Pick<Door, "quick">): ConsoleSessions {
  async function store(kind: "session" | "link", apiKeyId: string, lifeMs: number): Promise<BegunSession> {
    const token = createConsoleToken();
    const tokenHash = hashConsoleToken(token)!;
    return { token, expiresAt: await storeConsoleToken(quick, { tokenHash, kind, apiKeyId, lifeMs }) };
  }

  return {
    begin: ({ id }) => store("session", id, sessionMs),
    async beginByLink(link) {
      const hash = hashConsoleToken(link);
      const apiKeyId = hash && (await takeConsoleLink(quick, hash));
      return apiKeyId === undefined ? undefined : store("session", apiKeyId, sessionMs);
    },
    async findMany(tokens) {
      const byHash = new Map<string, { token: string; hash: Buffer }>();
      for (const token of tokens) {
        const hash = hashConsoleToken(token);
        if (hash) byHash.set(hash.toString("hex"), { token, hash });
      }
      if (byHash.size === 0) return [];
      const found = await findConsoleSessions(
        quick,
        [...byHash.values()].map(({ hash }) => hash),
      );
      return found.map(({ tokenHash, key }) => ({ id: byHash.get(tokenHash.toString("hex"))!.token, key }));
    },
    async end(token) {
      const hash = hashConsoleToken(token);
      if (hash) await endConsoleSession(quick, hash);
    },
    offerLink: async ({ id }) => (await store("link", id, linkMs)).token,
    removeOld: () => deleteOldSessions(quick),
  };
}
