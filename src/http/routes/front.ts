import type { ZodApi } from "../context/api-context.ts";

/** The places where programs read on. */
const places = {
  name: "contact-avatars",
  console: "console/",
  documentation: "docs",
  openapi: "openapi.json",
  readiness: "readyz",
};

/** `/`: leads people who have typed the address of the server to the console, and tells programs where they are. */
export function addFrontRoute(api: ZodApi): void {
  api.route({
    method: ["GET", "HEAD"],
    url: "/",
    config: { access: "open" },
    schema: { hide: true },
    handler: async (request, reply) => {
      void reply.header("vary", "accept").header("cache-control", "no-cache");
      if (!isBrowser(request.headers.accept)) return reply.type("application/json").send(places);
      // Relative: a proxy may have put a prefix before it.
      return reply.redirect("console/", 302);
    },
  });
}

/** Browsers name HTML before all else; programs JSON, anything, or nothing. */
function isBrowser(accept: string | undefined): boolean {
  const html = accept?.toLowerCase().indexOf("text/html") ?? -1;
  const json = accept?.toLowerCase().indexOf("application/json") ?? -1;
  return html >= 0 && (json < 0 || html < json);
}
