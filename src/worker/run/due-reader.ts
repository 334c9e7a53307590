import type { DueRequest, QueuedContact } from "../../domain/ledger/due-queue.ts";
import type { RunLedger } from "../../domain/ledger/run-ledger.ts";
import type { Clock } from "../lane/clocks.ts";

/** Reads the queues of all instances of a process: looks that come while one is under way share the next statement. */
export interface DueReader {
  /** Reads queues, each from its place. @throws what the ledger throws */
  read(requests: readonly DueRequest[]): Promise<QueuedContact[][]>;
  /** How long the ledger takes to answer, ms: the slowest of late. */
  readonly takesMs: number;
}

interface Look {
  readonly requests: readonly DueRequest[];
  readonly resolve: (found: QueuedContact[][]) => void;
  readonly reject: (error: unknown) => void;
}

/** Queues in one statement: its answer must not block the process for long. */
const mostRequests = 300;

export function createDueReader(ledger: Pick<RunLedger, "readDue">, clock: Clock): DueReader {
  let waiting: Look[] = [];
  let isReading = false;
  let takesMs = 0;

  function takeLooks(): Look[] {
    let requests = 0;
    const looks = waiting.filter((look) => (requests += look.requests.length) <= mostRequests);
    waiting = waiting.slice(looks.length);
    return looks;
  }

  async function readWaiting(): Promise<void> {
    isReading = true;
    // Runs that are woken together share the first statement, too.
    await Promise.resolve();
    while (waiting.length > 0) await readOnce(takeLooks());
    isReading = false;
  }

  async function readOnce(looks: readonly Look[]): Promise<void> {
    const sentAt = clock.now();
    try {
      const found = await ledger.readDue(looks.flatMap(({ requests }) => requests));
      takesMs = Math.max(clock.now() - sentAt, takesMs * 0.9);
      let from = 0;
      for (const { requests, resolve } of looks) {
        resolve(found.slice(from, from + requests.length));
        from += requests.length;
      }
    } catch (error) {
      for (const { reject } of looks) reject(error);
    }
  }

  return {
    get takesMs() {
      return takesMs;
    },
    read: (requests) =>
      new Promise((resolve, reject) => {
        waiting.push({ requests, resolve, reject });
        if (!isReading) void readWaiting();
      }),
  };
}
