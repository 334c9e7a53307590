/** For messages: what {@link isInstanceToken} asks for. */
export const instanceTokenForm = '1 to 128 letters, digits, "-" and "_"';

/**
 * May this be an instance's token? GREEN-API's have 50 hexadecimal digits, and no server that is compatible was seen to have
 * other characters than these. They look the same in a URL and in JSON, so that a token can be found in what echoes it.
 */
export function isInstanceToken(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,128}$/.test(text);
}
