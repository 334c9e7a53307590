export function isPostgresUrl(text: string): boolean {
  return URL.canParse(text) && /^postgres(?:ql)?:$/.test(new URL(text).protocol);
}

/**
 * host:port/database of a connection string, without user and password.
 * @param otherwise what to call it where the string is none, or where a piece of a password may have got into the path:
 *   one with `/`, `?` or `#` that was not written as `%2F`, `%3F`, `%23`
 */
export function toSafeAddress(url: string, otherwise: string): string {
  if (!URL.canParse(url)) return otherwise;
  const { host, pathname, search, hash } = new URL(url);
  return `${pathname}${search}${hash}`.includes("@") ? otherwise : `${host}${pathname}`;
}
