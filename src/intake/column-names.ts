/** In UTF-16. No name of a column that is looked for is longer. */
const maxFolded = 400;

// Best first. A chat id says exactly who is meant; a phone number has to be interpreted.
const idNames = `
  chat id, whatsapp chat id, whatsapp id, wa id, wid, jid, remote jid,
  whatsapp, whatsapp number, whatsapp phone, whatsapp phone number, wa number, wa phone,
  phone, phone number, phone no, mobile, mobile phone, mobile number, mobile phone number, mobile no,
  cell, cell phone, cell number, cell phone number, msisdn, contact phone, contact number,
  primary phone, phone 1, phone 1 value, tel, telephone, telephone number,
  телефон, номер телефона, мобильный, мобильный телефон,
  telefon, telefonnummer, handy, handynummer, mobil, mobilnummer, mobiltelefon,
  teléfono, móvil, celular, telefone, téléphone, portable,
  number, номер`
  .split(",")
  .map(foldName);
const refNames = ["external ref", "ref"].map(foldName);

const idRanks = new Map(idNames.map((name, rank) => [name, rank]));

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

/** How good a column of this folded name is for finding the chat, 0 the best; undefined: not at all. */
export function rankIdName(folded: string): number | undefined {
  return idRanks.get(folded);
}

/** The same for the CRM's own reference. */
export function rankRefName(folded: string): number | undefined {
  const rank = refNames.indexOf(folded);
  return rank < 0 ? undefined : rank;
}

/** Names worth trying, for messages. */
export const knownNames = "chat_id, chatId, phone, phone_number, mobile or number";
