// The "max" metadata know which numbers exist and of what type. The full sets decide between two readings of the same digits,
// which the smaller sets get wrong. No number that is written in full is refused by them.
import {
  type CountryCode,
  getCountryCallingCode,
  isSupportedCountry,
  ParseError,
  parsePhoneNumberWithError,
  type PhoneNumber,
} from "libphonenumber-js/max";
import { type ChatId, type ChatIdParse, toExcerpt } from "../../domain/chat-id.ts";
import { UserError } from "../../lib/errors.ts";
import { isPlainInternational } from "./numbering-plans.ts";

// The most digits that E.164 allows.
const maxDigits = 15;
const maxNationalDigits = 10;

// Lengths that today's numbering plans no longer know but WhatsApp accounts keep. They are Mexican mobiles with the former 1,
// and numbers of Côte d'Ivoire (before 2021) and Benin (before 2024).
const formerPlans = /^(?:521\d{10}|225\d{8}|229\d{8})$/;

/** The country for numbers written without a plus; throws UserError where it is not a country. */
export function parseCountry(text: string): CountryCode {
  const country = text.trim().toUpperCase();
  if (isSupportedCountry(country)) return country;
  const hint = country === "UK" ? "the United Kingdom is GB" : "give two letters, for example RU, DE or BR";
  throw new UserError("unknown-country", `unknown default country "${toExcerpt(text)}": ${hint}`);
}

/**
 * Reads a phone number as the chat id of its WhatsApp account. A number with a plus or 00 is international. One without belongs
 * to `defaultCountry`, or is international where that is undefined.
 *
 * Lenient on purpose: the length must be possible in its country, nothing more is asked. The digits are those of E.164. Two
 * spellings of a number stay apart: only the provider knows which of them is the account. These are Mexican `52 1 …` and `52
 * …`, Argentine `54 9 …` and `54 …`, Brazilian ones with and without the ninth digit.
 */
export function parsePhone(text: string, defaultCountry: CountryCode | undefined): ChatIdParse {
  const number = text
    .replace(/^[\s(]*\++/, "+")
    .replace(/^\(?00\)?(?=[\s\d])/, defaultCountry === undefined ? "+" : "00");
  const obvious = readObvious(number, defaultCountry);
  if (obvious !== undefined) return accept(obvious);
  // What follows a semicolon is dropped by the library: fine for ";ext=5", not for a second number.
  if (/;(?!\s*ext=)/i.test(number)) return refuse(text, "holds more than one value");
  // The library would say the same, by an exception that costs ten times as much as a number.
  if (!/\d/.test(number)) return refuse(text, explain("NOT_A_NUMBER", number, defaultCountry));
  const international = number.startsWith("+") || defaultCountry === undefined;
  const reading = international ? readInternational(number) : readLocal(number, defaultCountry);
  if (typeof reading === "string") return refuse(text, explain(reading, number, defaultCountry));
  const bare = international && !number.startsWith("+");
  if (!isPossible(reading) || (bare && looksNational(number, reading))) {
    return refuse(text, explain("IMPOSSIBLE", number, defaultCountry));
  }
  return accept(reading.number.slice(1));
}

/** The digits of what is international beyond doubt and needs no library to read it. */
function readObvious(number: string, defaultCountry: CountryCode | undefined): string | undefined {
  if (!/^\+?\d[\d\s().-]*$/.test(number)) return undefined;
  const digits = number.replace(/\D+/g, "");
  const international =
    number.startsWith("+") || (defaultCountry === undefined && digits.length > maxNationalDigits);
  return international && digits.length <= maxDigits && isPlainInternational(digits) ? digits : undefined;
}

/**
 * True for digits that only happen to begin like a country's calling code. Russian, Indian and North American national numbers
 * have ten digits: 900 123-45-67 must not become the Turkish +90 1234567.
 */
function looksNational(text: string, reading: PhoneNumber): boolean {
  const digits = reading.number.slice(1);
  const changed = !text.replace(/\D/g, "").startsWith(digits);
  return changed || (digits.length <= maxNationalDigits && !reading.isValid());
}

/** Digits of a national number, or of an international one that lost its plus in a spreadsheet. */
function readLocal(text: string, country: CountryCode): PhoneNumber | string {
  const national = read(text, country);
  const callingCode = getCountryCallingCode(country);
  if (isPossible(national) && !text.replace(/\D/g, "").startsWith(callingCode)) return national;
  const international = readInternational(text);
  if (!isPossible(international) || !international.isValid()) return national;
  if (!isPossible(national)) return international;
  if (international.countryCallingCode !== callingCode || international.number === national.number) {
    return national;
  }
  // Both readings are numbers of this country. In Germany 49 160 5253661 is a mobile, but may as well be (0)491605253661, a
  // landline. WhatsApp lives on mobiles, and no country has two mobiles in the same digits. Without a mobile, the missing trunk
  // prefix speaks for the international reading.
  const nationalWins = national.isValid() && isMobile(national) && !isMobile(international);
  return nationalWins ? national : international;
}

function readInternational(text: string): PhoneNumber | string {
  return read(text.startsWith("+") ? text : `+${text.replace(/^00/, "")}`, undefined);
}

/** The number, or libphonenumber's code for why there is none. */
function read(text: string, country: CountryCode | undefined): PhoneNumber | string {
  try {
    return parsePhoneNumberWithError(text, {
      extract: false,
      ...(country === undefined ? {} : { defaultCountry: country }),
    });
  } catch (error) {
    if (error instanceof ParseError) return error.message;
    throw error;
  }
}

function isPossible(reading: PhoneNumber | string): reading is PhoneNumber {
  return typeof reading !== "string" && (reading.isPossible() || formerPlans.test(reading.number.slice(1)));
}

function isMobile(number: PhoneNumber): boolean {
  const type = number.getType();
  return type === "MOBILE" || type === "FIXED_LINE_OR_MOBILE";
}

/** The likeliest first: WhatsApp lives on mobiles. A number that no plan knows comes last. */
const likelihood: readonly (string | undefined)[] = [
  "MOBILE",
  "FIXED_LINE_OR_MOBILE",
  "PERSONAL_NUMBER",
  "VOIP",
  "FIXED_LINE",
  undefined,
];

/** Of some chats, the one that is most likely a mobile; the first of those that are equally likely. Pure. */
export function pickLikeliestMobile(chatIds: readonly ChatId[]): ChatId {
  let best: { readonly chatId: ChatId; readonly rank: number } | undefined;
  for (const chatId of chatIds) {
    const rank = chatIds.length === 1 ? 0 : rankMobile(chatId);
    if (best === undefined || rank < best.rank) best = { chatId, rank };
  }
  return best!.chatId;
}

function rankMobile(chatId: ChatId): number {
  const number = chatId.endsWith("@c.us") ? read(`+${chatId.slice(0, -5)}`, undefined) : undefined;
  const type = number === undefined || typeof number === "string" ? undefined : number.getType();
  const rank = likelihood.indexOf(type);
  return rank < 0 ? likelihood.length : rank;
}

function explain(code: string, text: string, country: CountryCode | undefined): string {
  if (code === "NOT_A_NUMBER") return "is neither a phone number nor a chat id";
  if (country !== undefined)
    return `has the wrong length for a phone number of ${country} or any other country`;
  if (!text.startsWith("+")) {
    return "is not an international phone number; use --default-country for national ones";
  }
  return code === "INVALID_COUNTRY"
    ? "does not start with a country's calling code"
    : "has the wrong length for a phone number of its country";
}

function accept(digits: string): ChatIdParse {
  return { ok: true, chatId: `${digits}@c.us` as ChatId };
}

function refuse(text: string, fault: string): ChatIdParse {
  return { ok: false, reason: `"${toExcerpt(text)}" ${fault}` };
}
