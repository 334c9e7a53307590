/** In UTF-16. No name of a column that is looked for is longer. */
const maxFolded = 400;
/** The longest that is read word by word. */
const maxWords = 100;

/**
 * How columns are preferred. A chat id says exactly who is meant: where a record has one, its phone numbers are not looked at. A
 * column that is called a number may hold any, and is the last resort.
 */
export type ColumnKind = "chat-id" | "phone" | "number";

export interface ColumnName {
  readonly kind: ColumnKind;
  /** Among those of the kind, 0 the best. */
  readonly rank: number;
}

const toSet = (text: string) => new Set(text.split(/[\s,]+/).map(foldName));

const chatIdNames = toFolded("chat id, whatsapp chat id, whatsapp id, wa id, wid, jid, remote jid");
const numberNames = toFolded("number, номер");
/** Names that say too little by their words, or are written as one. */
const phoneNames = new Set(
  toFolded(
    `contact number, phone number, mobile number, cell number, wa number, mobile phone, cell phone, mobile phone number,
    cell phone number, whatsapp number, whatsapp phone, whatsapp phone number, home phone, work phone, other phone,
    電話, 電話番号, 携帯, 携帯電話, 携帯電話番号, 携帯番号, 电话, 电话号码, 联系电话, 手机, 手机号, 手机号码, 移动电话, 電話號碼, 聯絡電話, 手機,
    手機號碼, 行動電話, 전화, 전화번호, 휴대폰, 휴대폰번호, 휴대전화, 연락처, τηλέφωνο, κινητό, κινητό τηλέφωνο, طلفون, هاتف, رقم الهاتف,
    الهاتف, جوال, الجوال, رقم الجوال, موبايل, טלפון, נייד, טלפון נייד, מספר טלפון`,
  ),
);
const refNames = toFolded("external ref, ref, external id, crm id, record id");

const whatsappWords = toSet("whatsapp, wa, ватсап, вотсап, воцап");
const mobileWords = toSet(
  `mobile, mobil, mob, cell, cellular, cellphone, gsm, msisdn, mobilephone, mobilenumber, handy, handynummer, mobilnummer,
  mobiltelefon, mobilfunk, mobilfunknummer, móvil, celular, portable, cellulare, komórkowy, komórka, мобильный, мобильного, моб,
  сотовый, сотового, переносной, мобільний`,
);
const phoneWords = toSet(
  `phone, phones, phonenumber, phonenumbers, tel, telephone, telephones, telefon, telefonnummer, telefonnr, rufnummer, haupttelefon,
  autotelefon, teléfono, teléfonos, telefone, telefones, téléphone, telefono, telefoon, telefoonnummer, телефон, телефоны, телефона, тел`,
);
/** Beside those above. Fax, pager, label, type, extension and the phone of an assistant are meant to be missing. */
const otherWords = toSet(
  `number, numbers, no, num, nr, nummer, número, numéro, numer, номер, номера, value, values, app,
  work, office, business, home, private, personal, other, main, primary, default, direct, company, contact, contacts, customer,
  client, lead, person, user, billing, shipping, delivery, address, alternate, alternative, alt, secondary, second, additional,
  first, sms, marketing, car, radio, and, of, the, or,
  рабочий, прямой, домашний, другой, основной, дополнительный, доп, личный, контакт, контактный, контакта, клиента, для, рассылок,
  робочий, домашній, основний, інший,
  geschäftlich, privat, weiteres, dienstlich, arbeit, zuhause, firma, kunde,
  trabajo, casa, principal, otro, trabalho, comercial, residencial, outro, de, du, bureau, domicile, travail, perso, professionnel,
  autre, ufficio, abitazione, altro`,
);

function toFolded(text: string): string[] {
  return text.split(",").map(foldName);
}

/**
 * A column name without regard to case, blanks and punctuation: `Chat_ID` and `chatId` are one. A text that is too long for a
 * name comes back as it is. Its normalization could take time that grows with the square of its combining marks.
 */
export function foldName(name: string): string {
  if (name.length > maxFolded) return name;
  return name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "");
}

/** What a column or key of this name holds; undefined: neither chat ids nor phone numbers. Pure. */
export function readIdName(name: string): ColumnName | undefined {
  const folded = foldName(name);
  const chatId = chatIdNames.indexOf(folded);
  if (chatId >= 0) return { kind: "chat-id", rank: chatId };
  const number = numberNames.indexOf(folded);
  if (number >= 0) return { kind: "number", rank: number };
  const words = toWords(name);
  if (!phoneNames.has(folded) && !isPhone(words)) return undefined;
  const isWhatsApp = folded.startsWith("wa") || words.some((word) => whatsappWords.has(word));
  const isMobile =
    /^(?:mobile|cell|携帯|手机|手機|휴대|κινητ|جوال)/u.test(folded) ||
    words.some((word) => mobileWords.has(word));
  return { kind: "phone", rank: isWhatsApp ? 0 : isMobile ? 1 : 2 };
}

/** The words of `Phone 1 - Value`, of `mobilePhone`, and of `Рабочий телефон (контакт)`. */
function toWords(name: string): string[] {
  if (name.length > maxWords) return [];
  const parted = name.replace(/whats[ _-]?app/giu, "whatsapp ").replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2");
  return (
    parted
      .normalize("NFKD")
      .replace(/\p{M}+/gu, "")
      .match(/\p{L}+|\p{N}+/gu) ?? []
  ).map((word) => word.toLowerCase());
}

/** Is there a word for a phone, and none that makes it something else? */
function isPhone(words: readonly string[]): boolean {
  return words.some(namesPhone) && words.every(fitsPhone);
}

function namesPhone(word: string): boolean {
  return phoneWords.has(word) || mobileWords.has(word) || (whatsappWords.has(word) && word !== "wa");
}

function fitsPhone(word: string): boolean {
  return namesPhone(word) || word === "wa" || otherWords.has(word) || /^\p{N}{1,2}$/u.test(word);
}

/** How good a column of this name is for the CRM's own reference, 0 the best; undefined: not at all. */
export function rankRefName(name: string): number | undefined {
  const rank = refNames.indexOf(foldName(name));
  return rank < 0 ? undefined : rank;
}

/** Names worth trying, for messages. */
export const knownNames = "chat_id, chatId, phone, phone_number, mobile or number";
