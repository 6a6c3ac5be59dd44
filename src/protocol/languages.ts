/** LanguageCode of Apache's remoting: the number in a binary header, the name in a JSON one. */
export const LANGUAGE_BY_CODE: readonly string[] = [
  "JAVA",
  "CPP",
  "DOTNET",
  "PYTHON",
  "DELPHI",
  "ERLANG",
  "RUBY",
  "OTHER",
  "HTTP",
  "GO",
  "PHP",
  "OMS",
  "RUST",
  "NODE_JS",
];
