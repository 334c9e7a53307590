import { english } from "./english/english.ts";

/** All words that the console shows. Another language is another folder beside `english`, with an object of its shape. */
export const texts = english;
