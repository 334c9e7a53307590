export function isPostgresUrl(text: string): boolean {
  return URL.canParse(text) && /^postgres(?:ql)?:$/.test(new URL(text).protocol);
}

/**
 * host:port/database of a connection string, without user and password.
 * @param otherwise its name where the string is none, or where its path may hold a piece of the password. A password does with
 * a `/`, `?` or `#` that was not written as `%2F`, `%3F`, `%23`.
 */
export function toSafeAddress(url: string, otherwise: string): string {
  if (!URL.canParse(url)) return otherwise;
  const { host, pathname, search, hash } = new URL(url);
  return `${pathname}${search}${hash}`.includes("@") ? otherwise : `${host}${pathname}`;
}

/** What `pg` connects with. */
export interface Connection {
  readonly connectionString: string;
  readonly options: string;
}

/**
 * The same server, with settings of ours for each session. Settings of the URL (`?options=`) hold where ours say nothing: left
 * in the URL they would replace ours.
 * @param options as the server's command line has them: `-c lock_timeout=1000`
 */
export function toConnection(url: string, options: string): Connection {
  const parsed = new URL(url);
  const others = parsed.searchParams.getAll("options");
  if (others.length === 0) return { connectionString: url, options };
  parsed.searchParams.delete("options");
  return { connectionString: parsed.href, options: [...others, options].join(" ").trim() };
}
