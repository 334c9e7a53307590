/**
 * Makes a function that works at its first call, and answers all further ones with what the first gave. For what several
 * callers may stop, close or open. Their arguments are not looked at. A promise that was rejected stays; a function that has
 * thrown is called again.
 */
export function once<Args extends readonly unknown[], Result>(
  run: (...args: Args) => Result,
): (...args: Args) => Result {
  let first: { readonly result: Result } | undefined;
  return (...args) => {
    first ??= { result: run(...args) };
    return first.result;
  };
}
