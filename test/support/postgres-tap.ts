import { connect, createServer, type Socket } from "node:net";
import { join, standBefore } from "./stand-before.ts";

/** A way to Postgres on which something can be done at a certain statement. */
export interface PostgresTap {
  /** Of the same database, through the tap. */
  readonly url: string;
  /**
   * Acts once, when one connection has sent all of these texts, in this order, and Postgres has answered the last one. The answer goes
   * no further.
   */
  afterAnswer(texts: readonly string[], act: () => void): void;
  /** Does nothing any more. */
  forget(): void;
  close(): Promise<void>;
}

interface Trap {
  readonly texts: readonly string[];
  readonly act: () => void;
}

/** Stands between a client and Postgres. */
export async function openPostgresTap(databaseUrl: string): Promise<PostgresTap> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let trap: Trap | undefined;

  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let met = 0;
    let metTrap: Trap | undefined;
    join(client, upstream, sockets);
    /** Is it the last of the texts? */
    function isSprung(bytes: Buffer): boolean {
      if (trap !== metTrap) met = 0;
      metTrap = trap;
      if (trap === undefined) return false;
      const { texts } = trap;
      let from = 0;
      while (met < texts.length) {
        const at = bytes.indexOf(texts[met]!, from);
        if (at === -1) return false;
        from = at + 1;
        met += 1;
      }
      return true;
    }
    client.on("data", (bytes) => {
      if (!isSprung(bytes)) return void upstream.write(bytes);
      const { act } = trap!;
      trap = undefined;
      upstream.removeAllListeners("data");
      upstream.once("data", () => {
        act();
        client.destroy();
      });
      upstream.write(bytes);
    });
    upstream.on("data", (bytes) => client.write(bytes));
  });
  return {
    ...(await standBefore(databaseUrl, { server, sockets })),
    afterAnswer(texts, act) {
      trap = { texts, act };
    },
    forget() {
      trap = undefined;
    },
  };
}
