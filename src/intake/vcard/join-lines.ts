import { findValue, isQuotedPrintable, readName } from "./read-property.ts";

/** A content line, which may have been folded over many lines of the file. */
export interface ContentLine {
  /** The number of the first of its lines in the file. */
  readonly line: number;
  /** The name of its property, in capitals. */
  readonly name: string;
  /** The whole of it where the property is wanted; otherwise its beginning. */
  readonly text: string;
  /** Longer than any number or id: `text` is not the whole. */
  readonly isCut: boolean;
}

export interface LineJoiner {
  /** Takes the next line of the file. Hands back the content line that ended before it, where one did. */
  add(text: string, line: number): ContentLine | undefined;
  /** No more lines. */
  end(): ContentLine | undefined;
}

/** In UTF-16. No TEL, however it is written, is longer. */
export const maxContentLength = 4096;
const frame = /^(?:begin|end):vcard\s*$/i;

interface Open extends ContentLine {
  text: string;
  isCut: boolean;
  /** Its continuations are passed over: a photo may have thousands. */
  readonly isSkipped: boolean;
  readonly isQuoted: boolean;
  /** The last of its lines ended in a soft line break. */
  isBroken: boolean;
}

/**
 * Unfolds the lines of vCards: those that begin with a blank, and the soft line breaks of quoted-printable, continue the line
 * before. What is not wanted is not kept, so that a picture takes no memory.
 */
export function createLineJoiner(isWanted: (name: string) => boolean): LineJoiner {
  let open: Open | undefined;
  return {
    add(text, line) {
      const addition = open && toAddition(open, text);
      if (open && addition !== undefined) {
        extend(open, addition);
        return undefined;
      }
      const ended = open;
      open = begin(text, line, isWanted);
      return ended;
    },
    end() {
      const ended = open;
      open = undefined;
      return ended;
    },
  };
}

/** The text by which a line continues the one before; undefined: it is a line of its own. */
function toAddition(open: Open, text: string): string | undefined {
  if (open.isBroken) {
    // A last line that ends like a soft line break must not swallow the next card.
    return frame.test(text) ? undefined : text;
  }
  return text.startsWith(" ") || text.startsWith("\t") ? text.slice(1) : undefined;
}

function begin(text: string, line: number, isWanted: (name: string) => boolean): Open {
  const name = readName(text.slice(0, maxContentLength));
  // A name that is folded itself is not known yet.
  const isSkipped = /[;:]/.test(text) && !isWanted(name);
  const isQuoted = text.endsWith("=") && isQuotedPrintable(text.slice(0, Math.max(0, findValue(text))));
  const open: Open = { line, name, text: "", isCut: false, isSkipped, isQuoted, isBroken: false };
  extend(open, text);
  return open;
}

function extend(open: Open, addition: string): void {
  open.isBroken = open.isQuoted && addition.endsWith("=");
  const text = open.isBroken ? addition.slice(0, -1) : addition;
  if (open.isSkipped && open.text !== "") return;
  const room = maxContentLength - open.text.length;
  if (text.length > room) open.isCut = true;
  open.text += text.slice(0, room);
}
