import { createHash } from "node:crypto";
import type { ZodApi } from "../context/api-context.ts";

const style =
  "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}code{font-size:.95em}";

/** The page for people. Its links lead on also behind a proxy that adds a prefix. */
const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>contact-avatars</title>
<style>${style}</style>
<h1>contact-avatars</h1>
<p>This is the HTTP API that keeps the WhatsApp avatars of contacts fresh. Read its <a href="docs">documentation</a>: the
browser asks for a name and a password. Any name will do, and the password is an API key, which begins with <code>avk_</code>.
One is made with <code>avatars apikey create</code>.
<p>For programs: <a href="openapi.json">openapi.json</a>, with the same key. Whether it is up: <a href="readyz">readyz</a>.
</html>
`;

const pagePolicy = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The places where programs read on. */
const places = {
  name: "contact-avatars",
  documentation: "docs",
  openapi: "openapi.json",
  readiness: "readyz",
};

/** `/`: a page for people who have typed the address of the server, and the same for programs as JSON. Tells no secret. */
export function addFrontRoute(api: ZodApi): void {
  api.route({
    method: ["GET", "HEAD"],
    url: "/",
    config: { access: "open" },
    schema: { hide: true },
    handler: async (request, reply) => {
      void reply.header("vary", "accept").header("cache-control", "no-cache");
      if (!isBrowser(request.headers.accept)) return reply.type("application/json").send(places);
      return reply
        .header("content-security-policy", pagePolicy)
        .header("x-content-type-options", "nosniff")
        .type("text/html; charset=utf-8")
        .serializer(String)
        .send(page);
    },
  });
}

/** Browsers name HTML before all else; programs JSON, anything, or nothing. */
function isBrowser(accept: string | undefined): boolean {
  const html = accept?.toLowerCase().indexOf("text/html") ?? -1;
  const json = accept?.toLowerCase().indexOf("application/json") ?? -1;
  return html >= 0 && (json < 0 || html < json);
}
