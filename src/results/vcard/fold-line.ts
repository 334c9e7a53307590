/** Octets of a line, without its end: https://www.rfc-editor.org/rfc/rfc2426#section-2.6 */
const most = 75;

/** A content line with its end, folded where it is longer than a line may be. No character is split. Linear. */
export function foldLine(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return `${text}\r\n`;
  const lines: string[] = [];
  for (let from = 0; from < bytes.length;) {
    // A continuation begins with a blank.
    let to = Math.min(bytes.length, from + (from === 0 ? most : most - 1));
    while (to < bytes.length && (bytes[to]! & 0xc0) === 0x80) to -= 1;
    lines.push(bytes.toString("utf8", from, to));
    from = to;
  }
  return `${lines.join("\r\n ")}\r\n`;
}
