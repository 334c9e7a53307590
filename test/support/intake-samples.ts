import { toWorkbook } from "./workbook.ts";
import type { ContactColumns } from "../../src/intake/reader-options.ts";

/** An input as a program exports it, with invented numbers, and what is in it. */
export interface IntakeSample {
  readonly name: string;
  readonly bytes: Buffer;
  readonly options?: Omit<ContactColumns, "reading">;
  /** `position number ref`, in their order. */
  readonly contacts: readonly string[];
  /** The positions of what is no contact. */
  readonly rejects: readonly number[];
}

/** The bytes of a text in windows-1251, of which Cyrillic letters are wanted alone. */
function toWindows1251(text: string): Buffer {
  return Buffer.from(Array.from(text, toByte1251));
}

function toByte1251(character: string): number {
  const code = character.charCodeAt(0);
  if (code >= 0x410 && code <= 0x44f) return code - 0x350;
  if (code === 0x451) return 0xb8;
  if (code < 0x80) return code;
  throw new Error(`not in windows-1251: ${character}`);
}

const lines = (...all: string[]) => `${all.join("\r\n")}\r\n`;

const google = lines(
  "First Name,Middle Name,Last Name,Organization Name,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value",
  "Anna,,One,,* myContacts,,,Mobile,+7 916 000-01-01,,",
  "Boris,,Two,,* myContacts,,,,,Mobile,+7 916 000-01-02",
  "Clara,,Three,Shop,* myContacts,Work,c@example.com,Work,+7 495 000-01-03,Mobile,+7 916 000-01-04",
  "Dora,,Four,,* myContacts,Home,d@example.com,,,,",
  "Emil,,Five,,* myContacts,,,Mobile,+7 916 000-01-05 ::: +7 916 000-01-06,Home,8 916 000-01-05",
);

const cyrillic = lines(
  "Имя;Рабочий телефон;Мобильный телефон;Город",
  "Анна;;+7 916 000-02-01;Москва",
  "Борис;8 (916) 000-02-02;;Тверь",
  "Клара;+7 495 000-02-03;8 916 000 02 04;Пермь",
);
const cyrillicContacts = ["2 79160000201", "3 79160000202", "4 79160000204", "4 74950000203"];

const array = [
  { id: "c-1", name: "Anna", phone: "+79160000501" },
  { id: "c-2", name: "Boris", phones: ["+79160000502", "+7 916 000-05-03"] },
  { id: "c-3", name: "Clara", phones: [{ label: "mobile", value: "+79160000504" }] },
  { id: "c-4", name: "Dora", phones: [] },
];
const arrayContacts = ["1 79160000501 c-1", "2 79160000502 c-2", "2 79160000503 c-2", "3 79160000504 c-3"];

/** One for each kind of export, as its program writes its columns. */
export const intakeSamples: readonly IntakeSample[] = [
  {
    name: "Google Contacts, CSV",
    bytes: Buffer.from(google),
    options: { defaultCountry: "RU" },
    contacts: [
      "2 79160000101",
      "3 79160000102",
      "4 74950000103",
      "4 79160000104",
      "6 79160000105",
      "6 79160000106",
    ],
    rejects: [5],
  },
  {
    name: "several numbers in a cell",
    bytes: Buffer.from(
      lines(
        "name,phone,ref",
        'Anna,"+7 916 000-03-01, +7 916 000-03-02",r-1',
        "Boris,+7 916 000 03 03; 8 916 000-03-04,r-2",
        "Clara,+79160000305/+79160000306,r-3",
        "Dora,+49 30/901820,r-4",
        'Emil,"+7 916 000-03-07 (mobile), +7 916 000-03-08 ext. 12",r-5',
      ),
    ),
    options: { defaultCountry: "RU" },
    contacts: [
      "2 79160000301 r-1",
      "2 79160000302 r-1",
      "3 79160000303 r-2",
      "3 79160000304 r-2",
      "4 79160000305 r-3",
      "4 79160000306 r-3",
      "5 4930901820 r-4",
      "6 79160000307 r-5",
      "6 79160000308 r-5",
    ],
    rejects: [],
  },
  {
    name: "Excel's CSV in windows-1251",
    bytes: toWindows1251(cyrillic),
    options: { defaultCountry: "RU" },
    contacts: cyrillicContacts,
    rejects: [],
  },
  {
    name: "Excel's Unicode text without its mark",
    bytes: Buffer.from(cyrillic.replaceAll(";", "\t"), "utf16le"),
    options: { defaultCountry: "RU" },
    contacts: cyrillicContacts,
    rejects: [],
  },
  {
    name: "Outlook, CSV",
    bytes: Buffer.from(
      lines(
        '"First Name","Last Name","Company","Assistant\'s Phone","Business Fax","Business Phone","Business Phone 2","Callback","Car Phone","Company Main Phone","Home Fax","Home Phone","Home Phone 2","ISDN","Mobile Phone","Other Fax","Other Phone","Pager","Primary Phone","Radio Phone","TTY/TDD Phone","Telex","Notes"',
        '"Ann","One","","+44 20 7946 0001","+44 20 7946 0002","+44 20 7946 0003","","","","","","","","","+44 7700 900001","","","","","","","","call +44 7700 900009"',
        '"Bob","Two","","","","","","","","","","+44 20 7946 0004","","","","","","","+44 7700 900002","","","",""',
        '"Cleo","Three","","","+44 20 7946 0005","","","","","","","","","","","","","","","","","",""',
      ),
    ),
    contacts: ["2 447700900001", "2 442079460003", "3 442079460004", "3 447700900002"],
    rejects: [4],
  },
  {
    name: "Kommo, CSV",
    bytes: Buffer.from(
      lines(
        '"ID","First name","Last name","Work phone","Work direct phone","Mobile phone","Fax","Home phone","Other phone","Work email"',
        '"101","Ann","One","+5511900000001","","+5511900000002","+551130000009","","","a@example.com"',
        '"102","Bob","Two","","+5511900000003","","","","+5511900000003",""',
      ),
    ),
    options: { refColumn: "ID" },
    contacts: ["2 5511900000002 101", "2 5511900000001 101", "3 5511900000003 102"],
    rejects: [],
  },
  {
    name: "amoCRM, CSV",
    bytes: Buffer.from(
      lines(
        '"ID";"Наименование";"Рабочий телефон (контакт)";"Рабочий прямой телефон (контакт)";"Мобильный телефон (контакт)";"Факс (контакт)";"Домашний телефон (контакт)";"Другой телефон (контакт)"',
        '"201";"Анна";"\'74950000601";"";"\'79160000602";"\'74950000609";"";""',
        '"202";"Борис";"";"";"";"";"\'+79160000603, +79160000604";""',
      ),
    ),
    options: { refColumn: "ID" },
    contacts: ["2 79160000602 201", "2 74950000601 201", "3 79160000603 202", "3 79160000604 202"],
    rejects: [],
  },
  {
    name: "Bitrix24, CSV",
    bytes: Buffer.from(
      `\ufeff${lines(
        '"ID";"Имя";"Фамилия";"Рабочий телефон";"Мобильный телефон";"Номер факса";"Домашний телефон";"Номер пейджера";"Телефон для рассылок";"Другой телефон";"Рабочий e-mail"',
        '"301";"Анна";"Один";"+7 495 000-07-01, +7 495 000-07-02";"+79160000703";"+74950000709";"";"";"+79160000703";"";""',
        '"302";"Борис";"Два";"";"";"";"";"";"";"8 916 000-07-04";""',
      )}`,
    ),
    options: { refColumn: "ID", defaultCountry: "RU" },
    contacts: ["2 79160000703 301", "2 74950000701 301", "2 74950000702 301", "3 79160000704 302"],
    rejects: [],
  },
  {
    name: "HubSpot, CSV",
    bytes: Buffer.from(
      lines(
        '"Record ID","First Name","Last Name","Email","Phone Number","Mobile Phone Number","WhatsApp Phone Number","Fax Number","Contact owner","Lead Status"',
        '"401","Ann","One","a@example.com","(212) 555-0101","+1 646-555-0102","","+1 212-555-0109","",""',
        '"402","Bob","Two","","+1 212-555-0103","","+12125550103","","",""',
      ),
    ),
    options: { defaultCountry: "US" },
    contacts: ["2 16465550102 401", "2 12125550101 401", "3 12125550103 402"],
    rejects: [],
  },
  {
    name: "a JSON array over many lines",
    bytes: Buffer.from(JSON.stringify(array, undefined, 2)),
    options: { refColumn: "id" },
    contacts: arrayContacts,
    rejects: [4],
  },
  {
    name: "a JSON array on one line",
    bytes: Buffer.from(JSON.stringify(array)),
    options: { refColumn: "id" },
    contacts: arrayContacts,
    rejects: [4],
  },
  {
    name: "an API's answer with a list",
    bytes: Buffer.from(
      JSON.stringify({ total: 4, contacts: array, next: { page: 2, items: [1] } }, undefined, 1),
    ),
    options: { refColumn: "id" },
    contacts: arrayContacts,
    rejects: [4],
  },
  {
    name: "JSON objects one after the other",
    bytes: Buffer.from(array.map((each) => JSON.stringify(each, undefined, 4)).join("\n")),
    options: { refColumn: "id" },
    contacts: arrayContacts,
    rejects: [4],
  },
  {
    name: "NDJSON of Bitrix24's REST API",
    bytes: Buffer.from(
      lines(
        '{"ID":"7","NAME":"Anna","PHONE":[{"ID":"1","VALUE_TYPE":"WORK","VALUE":"+79160000801","TYPE_ID":"PHONE"},{"ID":"2","VALUE":"+79160000802"}]}',
        '{"ID":"8","NAME":"Boris","PHONE":[]}',
      ),
    ),
    options: { refColumn: "ID" },
    contacts: ["1 79160000801 7", "1 79160000802 7"],
    rejects: [2],
  },
  {
    name: "vCards of phones, three versions",
    bytes: Buffer.from(
      lines(
        "BEGIN:VCARD",
        "VERSION:2.1",
        "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=98=D0=B2=D0=B0=D0=BD=D0=BE=D0=B2;=D0=98=D0=B2=D0=B0=",
        "=D0=BD;;;",
        "TEL;CELL:+7-916-000-04-01",
        "TEL;HOME:84950000402",
        "END:VCARD",
        "BEGIN:VCARD",
        "VERSION:3.0",
        "FN:Clara Three",
        "item1.TEL;type=CELL;waid=79160000403:+7 916 000-04-03",
        "item1.X-ABLabel:Mobile",
        "NOTE:a note that is folded here and goes on in the next line\\, with TEL:+79990000000",
        "  in it",
        "END:VCARD",
        "BEGIN:VCARD",
        "VERSION:4.0",
        "FN:Dora",
        "UID:urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1",
        'TEL;VALUE=uri;TYPE="cell,voice";PREF=1:tel:+7-916-000-04-04',
        "TEL;VALUE=uri;TYPE=home:tel:+7-495-000-04-05;ext=102",
        "END:VCARD",
        "BEGIN:VCARD",
        "VERSION:3.0",
        "FN:No number",
        "EMAIL:n@example.com",
        "END:VCARD",
      ),
    ),
    options: { defaultCountry: "RU" },
    contacts: [
      "1 79160000401",
      "1 74950000402",
      "2 79160000403",
      "3 79160000404 urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1",
      "3 74950000405 urn:uuid:4fbe8971-0bc3-424c-9c26-36c3e1eff6b1",
    ],
    rejects: [4],
  },
  {
    name: "iCloud, vCard",
    bytes: Buffer.from(
      lines(
        "BEGIN:VCARD",
        "VERSION:3.0",
        "PRODID:-//Apple Inc.//iCloud Web Address Book 2117B3//EN",
        "N:One;Ann;;;",
        "FN:Ann One",
        "TEL;TYPE=CELL;TYPE=VOICE;TYPE=pref:+44 7700 900001",
        "item1.TEL:020 7946 0001",
        "item1.X-ABLABEL:_$!<HomeFAX>!$_",
        "PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD/2wCEAAkGBwgHBgkIBwgKCgkLDRYPDQwMDRsUFRAWIB0iIiAdHx8kKDQsJCYxJ",
        " x8fLT0tMTU3Ojo6Iys/RD84QzQ5OjcBCgoKDQwNGg8PGjclHyU3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3",
        "REV:2026-01-01T00:00:00Z",
        "UID:ann-1",
        "END:VCARD",
      ),
    ),
    options: { defaultCountry: "GB" },
    contacts: ["1 447700900001 ann-1", "1 442079460001 ann-1"],
    rejects: [],
  },
  {
    name: "an Excel workbook",
    bytes: toWorkbook(
      { name: "Notes", rows: [["read me"]] },
      {
        name: "Customers",
        rows: [
          ["Customers of July"],
          ["Name", "Phone", "Customer ID"],
          ["Anna", 79160000601, "c-1"],
          ["Boris", "+7 916 000-06-02", "c-2"],
          ["Clara", 89160000603, "c-3"],
          ["Dora", null, "c-4"],
        ],
      },
    ),
    options: { defaultCountry: "RU", refColumn: "Customer ID" },
    contacts: ["3 79160000601 c-1", "4 79160000602 c-2", "5 79160000603 c-3"],
    rejects: [6],
  },
];
