import { auditTexts } from "./audit-texts.ts";
import { batchTexts } from "./batch-texts.ts";
import { careTexts } from "./care-texts.ts";
import { commonTexts, errorTexts, frameTexts, revealTexts } from "./common-texts.ts";
import { contactTexts, galleryTexts } from "./contact-texts.ts";
import { instanceTexts } from "./instance-texts.ts";
import { keyTexts } from "./key-texts.ts";
import { loginTexts } from "./login-texts.ts";
import { nightTexts } from "./night-texts.ts";
import { overviewTexts } from "./overview-texts.ts";
import { stateTexts, statusTexts } from "./status-texts.ts";
import { webhookTexts } from "./webhook-texts.ts";

/** All words of the console in English, by what they are about. */
export const english = {
  language: "en-GB",
  ...frameTexts,
  common: commonTexts,
  errors: errorTexts,
  reveal: revealTexts,
  login: loginTexts,
  overview: overviewTexts,
  states: stateTexts,
  statuses: statusTexts,
  instance: instanceTexts,
  care: careTexts,
  batches: batchTexts,
  gallery: galleryTexts,
  contact: contactTexts,
  nights: nightTexts,
  audit: auditTexts,
  webhooks: webhookTexts,
  keys: keyTexts,
} as const;
