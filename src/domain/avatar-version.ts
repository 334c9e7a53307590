/**
 * A version is a mark of a picture, the same for all its URLs:
 *
 * | version          | of                                                       | two different ones are                              |
 * | ---------------- | -------------------------------------------------------- | --------------------------------------------------- |
 * | `/v/t61.…_n.jpg` | WhatsApp: the path of the URL                            | two pictures, unless their bytes are the same       |
 * | `/i?r=…`         | MAX: the path and `r`                                    | the same                                            |
 * | `sha256:…`       | an image that came without a URL: its hash               | the same                                            |
 * | `url:…`          | any other host: the hash of the whole URL, {@link isUnknown} | perhaps one picture; only their bytes tell      |
 */
export const unknownVersionPrefix = "url:";

/** Does the version say nothing of the picture? Its URL may differ in each answer, or be one for all pictures of the chat. */
export function isUnknown(version: string): boolean {
  return version.startsWith(unknownVersionPrefix);
}
