import { Agent } from "undici";
import type { HostPort } from "../../domain/host-port.ts";
import { createGuardedConnector } from "../../outbound/guarded-connector.ts";
import type { Resolve } from "../../outbound/guarded-lookup.ts";
import { judgeTarget } from "../../outbound/judge-target.ts";
import { maxImageBytes } from "../image.ts";
import type { BodyPlace } from "./body-room.ts";
import { download } from "./download.ts";
import type { FetchOutcome } from "./fetch-outcome.ts";
import { judgeDownload, toBodyLimit } from "./judge-download.ts";
import { isImageHost } from "./image-hosts.ts";

/** Takes images from their URLs. */
export interface ImageFetcher {
  /**
   * Tries once to take the image at `url`. Never rejects for anything that a URL, a server or the network does: that is an
   * outcome, and so is the caller's abort.
   */
  fetchImage(url: string, options?: FetchOptions): Promise<FetchOutcome>;
  /** Waits for the fetches at work, which end at their deadline at the latest. Twice is harmless. */
  close(): Promise<void>;
}

export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Told of each piece of a body as it comes, in bytes, also where the image is refused: to be charged against a limit. */
  readonly onBytes?: (count: number) => void;
  /** Where a body is held that is larger than usual: the image stays there. Unless told, it has a buffer of its own. */
  readonly place?: Pick<BodyPlace, "enlarge">;
}

export interface ImageFetcherOptions {
  /** Hosts that are taken from beside the messengers' own: by http too, and wherever they are. */
  readonly named: readonly HostPort[];
  /** Of each origin; 8 unless told. A fetch that waits for one uses up its own time. */
  readonly connectionsPerOrigin?: number;
  /** For one whole fetch, from looking up the host to the last byte, ms; 10,000 unless told. */
  readonly timeoutMs?: number;
  /** For tests: in place of the system's resolver, and of Node's certificates. */
  readonly resolve?: Resolve;
  readonly ca?: string;
}

const defaultConnections = 8;
const defaultTimeoutMs = 10_000;
/** Shorter than a fetch, so that what was given up while it connected does not hold a connection for long. */
const connectTimeoutMs = 5_000;
/** However long a server offers to keep one: hosts come and go. */
const mostIdleMs = 10_000;

/** Does no I/O: connections open with the first fetches. */
export function createImageFetcher(options: ImageFetcherOptions): ImageFetcher {
  const { named, resolve, ca, timeoutMs = defaultTimeoutMs } = options;
  const agent = new Agent({
    connections: options.connectionsPerOrigin ?? defaultConnections,
    pipelining: 1,
    keepAliveMaxTimeout: mostIdleMs,
    // The deadline of the fetch is the only clock.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: createGuardedConnector({ named, timeoutMs: connectTimeoutMs, resolve, ca }),
  });
  const working = new Set<Promise<FetchOutcome>>();
  const fetchAllowed = async (url: URL, { signal, onBytes, place }: FetchOptions): Promise<FetchOutcome> => {
    const enlarge = () => (place ? place.enlarge() : Buffer.allocUnsafeSlow(maxImageBytes));
    const end = await download(agent, url, { timeoutMs, signal, onBytes, enlarge, bodyLimit: toBodyLimit });
    return judgeDownload(end, new Date());
  };
  return {
    async fetchImage(text, fetchOptions = {}) {
      const target = judgeTarget(text, { named, mayReach: isImageHost });
      if (target.kind === "refused") return target;
      const fetching = fetchAllowed(target.url, fetchOptions);
      working.add(fetching);
      return fetching.finally(() => working.delete(fetching));
    },
    async close() {
      await Promise.all(working);
      // What was given up while it connected would keep undici's own close waiting.
      await agent.destroy();
    },
  };
}
