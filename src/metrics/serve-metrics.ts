import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { UserError } from "../lib/errors.ts";
import type { Metrics } from "./create-metrics.ts";

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface MetricsServerOptions extends Pick<Metrics, "scrape"> {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** It goes on listening: a connection could not be taken, for want of file descriptors, say. */
  readonly onError: (error: Error) => void;
}

/**
 * Serves `/metrics`, and `/healthz`, which answers as long as the process does.
 * @throws UserError `metrics-unavailable` where it cannot listen
 */
export async function serveMetrics({
  host,
  port,
  scrape,
  onError,
}: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    answer(scrape, request, response).catch(() => {
      response.writeHead(500).end();
    });
  });
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown cause";
    throw new UserError(
      "metrics-unavailable",
      `METRICS_PORT: cannot listen on port ${port} of ${host} (${code}): choose another port, or check METRICS_HOST`,
      { cause },
    );
  }
  server.on("error", onError);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(
  scrape: Metrics["scrape"],
  { method, url = "/" }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const text = "text/plain; charset=utf-8";
  if (method !== "GET" && method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  switch (url.split("?")[0]) {
    case "/metrics": {
      const scraped = await scrape();
      response.writeHead(200, { "content-type": scraped.contentType }).end(scraped.text);
      return;
    }
    case "/healthz":
      response.writeHead(200, { "content-type": text }).end("ok\n");
      return;
    default:
      response.writeHead(404, { "content-type": text }).end("there are /metrics and /healthz\n");
  }
}
