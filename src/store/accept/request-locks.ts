import type pg from "pg";
import { sleep } from "../../lib/deadline.ts";
import { TryAgainError } from "../postgres/try-again-error.ts";

/**
 * Locks on names, in Postgres, for requests that take longer than a transaction: they end with their process. All of a
 * process are held by one connection of the pool, which it gives back when there are none.
 */
export interface RequestLocks {
  hold(): LockHold;
}

/** The locks of one request. */
export interface LockHold {
  /** False: another request has it. */
  tryAdd(name: string): Promise<boolean>;
  /** True: the connection is known to be lost, and the locks with it. */
  readonly isLost: boolean;
  /**
   * Makes sure that all the locks are held, and takes again those that were lost. False: another request has got one of them
   * meanwhile. Rejects when Postgres does not answer.
   */
  ensure(): Promise<boolean>;
  /** Never rejects. */
  release(): Promise<void>;
}

/** The seed makes our numbers improbable for others: all advisory locks of a database share one space. */
const seed = 6_272_077;
/** The number of a lock on the name that is the first parameter. */
export const lockNumberSql = `hashtextextended($1, ${seed})`;

export function createRequestLocks(pool: pg.Pool): RequestLocks {
  /** Names that this process has locked: its session would be given the same lock twice. */
  const owned = new Set<string>();
  let current: Promise<LockSession> | undefined;

  async function getSession(): Promise<LockSession> {
    const opened = (current ??= openSession(pool, () => {
      if (current === opened) current = undefined;
    }));
    return opened.catch((error: unknown) => {
      if (current === opened) current = undefined;
      throw error;
    });
  }

  function disown(name: string): void {
    owned.delete(name);
    if (owned.size > 0) return;
    current?.then(
      (session) => session.close(),
      () => undefined,
    );
    current = undefined;
  }

  function hold(): LockHold {
    const holders = new Map<string, LockSession>();
    return {
      async tryAdd(name) {
        if (owned.has(name)) return false;
        owned.add(name);
        try {
          const session = await getSession();
          if (await session.tryLock(name)) holders.set(name, session);
        } finally {
          if (!holders.has(name)) disown(name);
        }
        return holders.has(name);
      },
      get isLost() {
        return [...holders.values()].some((session) => session.isLost());
      },
      async ensure() {
        const session = await getSession();
        // The check asks the server, since a connection may be lost without a word.
        await session.check();
        for (const [name, holder] of holders) {
          if (holder === session) continue;
          if (!(await retake(session, name))) return false;
          holders.set(name, session);
        }
        return true;
      },
      async release() {
        for (const [name, holder] of holders) {
          await holder.unlock(name);
          disown(name);
        }
        holders.clear();
      },
    };
  }

  return { hold };
}

/** The server gives up the locks of a lost connection when it notices the loss. */
const retakeTries = 10;
const retakeDelayMs = 100;

async function retake(session: LockSession, name: string): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    if (await session.tryLock(name)) return true;
    if (tries === retakeTries) return false;
    await sleep(retakeDelayMs);
  }
}

interface LockSession {
  readonly isLost: () => boolean;
  tryLock(name: string): Promise<boolean>;
  /** Never rejects: a session that does not answer is given up, and its locks with it. */
  unlock(name: string): Promise<void>;
  check(): Promise<void>;
  /** Gives the connection back; it must hold no lock any more. */
  close(): void;
}

async function openSession(pool: pg.Pool, onLost: () => void): Promise<LockSession> {
  const client = await pool.connect();
  let isOpen = true;
  const end = (isBroken: boolean) => {
    if (!isOpen) return;
    isOpen = false;
    client.release(isBroken);
    client.off("error", lose);
  };
  const lose = () => {
    end(true);
    onLost();
  };
  client.on("error", lose);

  /** The last question: a connection is asked one thing after the other. */
  let asking: Promise<unknown> = Promise.resolve();

  async function ask(sql: string, values: unknown[] = []): Promise<boolean | undefined> {
    const answer = asking.then(async () => {
      if (!isOpen) throw new TryAgainError("the connection that held the locks was lost");
      const { rows } = await client.query<{ yes: boolean }>(sql, values);
      return rows[0]?.yes;
    });
    asking = answer.catch(lose);
    return answer;
  }

  return {
    isLost: () => !isOpen,
    tryLock: async (name) =>
      (await ask(`select pg_try_advisory_lock(${lockNumberSql}) as yes`, [name])) === true,
    async unlock(name) {
      await ask(`select pg_advisory_unlock(${lockNumberSql}) as yes`, [name]).catch(() => undefined);
    },
    check: async () => void (await ask("select true as yes")),
    close: () => end(false),
  };
}
