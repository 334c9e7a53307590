import sax from "sax";
import { toBroken } from "./broken-workbook.ts";

export interface XmlHandlers {
  /** @param name without its prefix */
  readonly open: (name: string, attributes: Readonly<Record<string, string>>) => void;
  /** A piece of text: a longer one comes in several. */
  readonly text: (text: string) => void;
  /** @param name without its prefix */
  readonly close: (name: string) => void;
}

export interface XmlReader {
  /** Calls the handlers for all that is complete. @throws UserError `broken-workbook` */
  write(text: string): void;
  /** @throws UserError `broken-workbook` where the document is not at its end */
  end(): void;
}

/** Excel goes some ten deep, and gives the root some forty attributes. */
const maxDepth = 100;
const maxAttributes = 200;

// `strictEntities` is not in the types.
const parserOptions: sax.SAXOptions & { readonly strictEntities: true } = {
  position: false,
  strictEntities: true,
};

/**
 * Reads XML piece by piece, in memory that does not grow with it. A DTD, which no workbook has, ends it: no entity is ever
 * expanded but the five of XML.
 */
export function createXmlReader(part: string, handlers: XmlHandlers): XmlReader {
  const fail = (why: string, cause?: unknown) => {
    throw toBroken(`${part}: ${why}`, cause);
  };
  const parser = sax.parser(true, parserOptions);
  parser.position = 0;
  let depth = 0;
  let attributes = 0;
  const listeners: Partial<sax.SAXParser> = {
    onerror: (error) => fail("the XML is damaged", error),
    ondoctype: () => fail("a DTD has no place there"),
    onattribute() {
      attributes += 1;
      if (attributes > maxAttributes) fail(`an element has more than ${maxAttributes} attributes`);
    },
    onopentag(tag) {
      attributes = 0;
      depth += 1;
      if (depth > maxDepth) fail(`elements are more than ${maxDepth} deep`);
      handlers.open(toLocal(tag.name), tag.attributes as Record<string, string>);
    },
    ontext: handlers.text,
    oncdata: handlers.text,
    onclosetag(name) {
      depth -= 1;
      handlers.close(toLocal(name));
    },
  };
  Object.assign(parser, listeners);
  return {
    write(text) {
      // By its position the parser tells when to look whether a token is too long. Counted by itself it costs more.
      parser.position += text.length;
      parser.write(text);
    },
    end: () => void parser.close(),
  };
}

function toLocal(name: string): string {
  const colon = name.indexOf(":");
  return colon < 0 ? name : name.slice(colon + 1);
}
