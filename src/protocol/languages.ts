/** LanguageCode of Apache's remoting: the number in a binary header, the name in a JSON one. */
import { LanguageCode } from "./generated/languages.ts";

/** Name of a language by its number. */
export const LANGUAGE_BY_CODE: readonly string[] = Object.entries(LanguageCode).reduce<string[]>(
  (names, [name, code]) => {
    names[code] = name;
    return names;
  },
  [],
);
