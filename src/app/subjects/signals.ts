import type { Actor } from "../../domain/audit.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { SignalOutcome } from "../../domain/signal.ts";
import { once } from "../../lib/closing/once.ts";
import { createRateGate } from "../../lib/rate-gate.ts";
import { createSecretHmac } from "../../lib/secrets/api-token.ts";
import { createChatHash } from "../../lib/secrets/chat-hash.ts";
import { createHookSecret } from "../../lib/secrets/hook-secret.ts";
import { acceptSignals } from "../../store/accept/accept-signals.ts";
import {
  findHookSecrets,
  removeHookSecret,
  setHookSecret,
  type StoredHookSecret,
} from "../../store/instances/hook-secrets.ts";
import { TryAgainError } from "../../store/postgres/try-again-error.ts";
import { probeNow } from "../../store/work/holds.ts";
import type { Door } from "./door.ts";

/** What the provider tells by itself, and who may tell it. */
export interface Signals {
  /**
   * Makes the secret of the sender of an instance's notifications; an earlier one ends with it. It can never be read again. Undefined:
   * there is no such instance. @throws UserError `no-secret-key`
   */
  renewSecret(id: InstanceId, by: Actor): Promise<string | undefined>;
  /** Takes no notifications any more. False: it took none. */
  removeSecret(id: InstanceId, by: Actor): Promise<boolean>;
  /** In any order; instances that take no notifications are left out. At most 1,000 at once. */
  findSecrets(ids: readonly string[]): Promise<StoredHookSecret[]>;
  /** HMAC-SHA256 of a secret, by this installation's key. @throws UserError `no-secret-key` */
  hmac(secret: string): Buffer;
  /**
   * Takes in a chat that a signal named. When it resolves it is committed. Signals that come while others of the instance are written
   * are written together.
   * @throws TryAgainError where too many wait
   */
  takeChat(id: InstanceId, chatId: ChatId): Promise<SignalOutcome>;
  /** Lets a held instance be tried at once, since its account has logged in. At most once a minute for each. */
  tryAgain(id: InstanceId): Promise<void>;
}

/** Chats of an instance that wait to be written. */
const maxWaiting = 5_000;
/** Chats of one statement. */
const mostAtOnce = 500;
const triedAgainEveryMs = 60_000;

export function createSignals(door: Door): Signals {
  const { quick, writes, wake, secretKey, config } = door;
  const { pool } = quick;
  const getHmac = once(() => createSecretHmac(secretKey(), "secrets of hooks"));
  const getErasedHash = once(() => createChatHash(secretKey(), "erased chats"));
  const gates = new Map<InstanceId, () => boolean>();

  const takeChat = createCollector(async (id, chatIds) => {
    const outcomes = await writes.run(id, async () =>
      acceptSignals(pool, getErasedHash(), id, chatIds, config.signalMaxAgeMs ?? undefined),
    );
    if ([...outcomes.values()].some((outcome) => outcome === "added" || outcome === "refreshed"))
      await wake(id);
    return outcomes;
  });

  return {
    async renewSecret(id, by) {
      const secret = createHookSecret();
      return (await setHookSecret(pool, id, getHmac()(secret), by)) ? secret : undefined;
    },
    removeSecret: (id, by) => removeHookSecret(pool, id, by),
    findSecrets: (ids) => findHookSecrets(pool, ids),
    hmac: (secret) => getHmac()(secret),
    takeChat,
    async tryAgain(id) {
      const gate = gates.get(id) ?? createRateGate(triedAgainEveryMs);
      gates.set(id, gate);
      if (!gate()) return;
      await probeNow(pool, id);
      await wake(id);
    },
  };
}

type Write = (id: InstanceId, chatIds: readonly ChatId[]) => Promise<ReadonlyMap<ChatId, SignalOutcome>>;

interface Waiter {
  readonly resolve: (outcome: SignalOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** The chats of one instance that wait, each with those who told of it. */
type Waiting = Map<ChatId, Waiter[]>;

/** Writes the chats of an instance one statement after the other: what comes meanwhile is one statement, too. */
function createCollector(write: Write): Signals["takeChat"] {
  const byInstance = new Map<InstanceId, Waiting>();

  async function writeAll(id: InstanceId, waiting: Waiting): Promise<void> {
    while (waiting.size > 0) {
      const some = [...waiting].slice(0, mostAtOnce);
      for (const [chatId] of some) waiting.delete(chatId);
      try {
        const outcomes = await write(
          id,
          some.map(([chatId]) => chatId),
        );
        for (const [chatId, waiters] of some)
          for (const { resolve } of waiters) resolve(outcomes.get(chatId) ?? "known");
      } catch (error) {
        for (const [, waiters] of some) for (const { reject } of waiters) reject(error);
      }
    }
    byInstance.delete(id);
  }

  return (id, chatId) =>
    new Promise((resolve, reject) => {
      const known = byInstance.get(id);
      const waiting: Waiting = known ?? new Map();
      const waiters = waiting.get(chatId);
      if (waiters) waiters.push({ resolve, reject });
      else if (waiting.size >= maxWaiting) reject(new TryAgainError("too many signals wait to be written"));
      else waiting.set(chatId, [{ resolve, reject }]);
      if (known) return;
      byInstance.set(id, waiting);
      setImmediate(() => void writeAll(id, waiting));
    });
}
