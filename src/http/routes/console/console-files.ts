import type { ApiContext, ZodApi } from "../../context/api-context.ts";
import { ApiError } from "../../answers/problem.ts";

/** The console's files, as they were built: its page, scripts and styles. */
export interface ConsoleFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: Buffer;
  /** Its name says what is in it: it never changes. */
  readonly isLasting: boolean;
}

interface ConsoleFilesPorts {
  /** By name; empty: the console was not built. */
  readonly consoleFiles: ReadonlyMap<string, ConsoleFile>;
}

/** Files of this server alone; styles of elements are set by scripts, which the policy does not forbid. */
const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

const headers = {
  "content-security-policy": contentPolicy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
} as const;

const config = { access: "open" } as const;
const schema = { hide: true } as const;

/** `GET /console` and its files. They tell nothing: what the console shows it asks of the API. */
export function addConsoleFiles(api: ZodApi, { ports }: ApiContext<ConsoleFilesPorts>): void {
  const { consoleFiles } = ports;

  api.get("/console", { config, schema }, (_request, reply) =>
    // Relative: a proxy may have put a prefix before it.
    reply.headers(headers).redirect("console/", 302),
  );
  api.get<{ Params: { "*": string } }>("/console/*", { config, schema }, async (request, reply) => {
    const file = consoleFiles.get(request.params["*"] || "index.html");
    if (!file) throw new ApiError("not-found", noFile(consoleFiles.size));
    return reply
      .headers(headers)
      .header("cache-control", file.isLasting ? "public, max-age=31536000, immutable" : "no-cache")
      .type(file.type)
      .send(file.bytes);
  });
}

function noFile(files: number): string {
  return files > 0
    ? "the console has no such file"
    : "the console was not built: run npm run build, or install the package";
}
