/** What JavaScript does with time and text, as JSON: first what belongs to no language, then what does. */

type Outcomes = Record<string, unknown>;

/** The results by name, and the kind of error instead of a result. */
function outcomes(tries: Readonly<Record<string, () => unknown>>): Outcomes {
  return Object.fromEntries(
    Object.entries(tries).map(([name, attempt]) => {
      try {
        return [name, attempt()];
      } catch (error) {
        return [name, error instanceof Error ? error.name : "?"];
      }
    }),
  );
}

const YEARS = [1900, 1945, 1970, 2000, 2026, 2037, 2100];
const instants = YEARS.flatMap((year) => [0, 3, 6, 9].map((month) => new Date(Date.UTC(year, month, 28, 1, 30))));
const summer = new Date(Date.UTC(2026, 6, 1, 12));
const words = ["guest-info", "guest_x", "guest-file-open", "Z", "ä", "a", "e\u0301", "é", "İ", "10", "9", "漢", ""];

const BYTES = Uint8Array.of(0xc3, 0xa4, 0xe3, 0xba);

const neutral = outcomes({
  offsets: () => instants.map((instant) => instant.getTimezoneOffset()),
  local: () => instants.map((instant) => [instant.getHours(), instant.getDate()]),
  "from local": () => YEARS.map((year) => new Date(year, 2, 29, 2, 30).getTime()),
  "as text": () => [summer.toString(), summer.toUTCString(), summer.toISOString(), summer.toTimeString()],
  parsed: () =>
    ["2026-07-01T12:00", "Wed Jul 01 2026 12:00:00 GMT+0200", "1 July 2026"].map((text) => Date.parse(text)),
  "in the language of the environment": () => [summer.toLocaleString(), (1_234_567.5).toLocaleString()],
  "a zone by name": () => summer.toLocaleString("en", { timeZone: "Asia/Kolkata", timeZoneName: "long" }),
  "the zone's name": () => new Intl.DateTimeFormat().resolvedOptions().timeZone,
  "normal forms": () => ["NFC", "NFD", "NFKC", "NFKD"].map((form) => "e\u0301éﬁ①한Å".normalize(form)),
  "lower case": () => ["İIıi", "ΣΑΣ"].map((text) => text.toLowerCase()),
  "upper case": () => ["ßıiŉ", "ﬃ"].map((text) => text.toUpperCase()),
  "case of a language": () => ["Iİ".toLocaleLowerCase("tr"), "iı".toLocaleUpperCase("tr")],
  sorted: () => words.toSorted((a, b) => a.localeCompare(b)),
  "sorted by numbers": () => words.toSorted(new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare),
  "classes of characters": () =>
    [/^\p{L}+$/u, /\p{Cc}/u, /[\p{Emoji}--\p{ASCII}]/v, /\p{Script=Greek}/u, /\p{RGI_Emoji}/v, /ſ/iu].map((pattern) =>
      ["äö漢", "\x07", "😀", "α", "👨‍👩‍👧", "s"].map((text) => pattern.test(text)),
    ),
  "names of hosts": () => [new URL("http://Bücher.example/ä?ö").href, new URL("http://faß.example").hostname],
  decoded: () => [new TextDecoder("utf-16le"), new TextDecoder("windows-1252")].map((decoder) => decoder.decode(BYTES)),
});

const LANGUAGES = ["en", "de", "sv", "ja", "zh-Hant-TW", "th", "ar-EG", "fa", "hi-u-nu-deva", "de-u-co-phonebk", "xx"];

const ofLanguages = Object.fromEntries(
  LANGUAGES.map((language) => [
    language,
    outcomes({
      date: () => summer.toLocaleDateString(language, { dateStyle: "full", calendar: "gregory" }),
      number: () => new Intl.NumberFormat(language, { style: "currency", currency: "JPY" }).format(1_234_567.5),
      plural: () => new Intl.PluralRules(language, { type: "ordinal" }).select(2),
      relative: () => new Intl.RelativeTimeFormat(language).format(-1, "day"),
      list: () => new Intl.ListFormat(language).format(["a", "b"]),
      sorted: () => words.toSorted(new Intl.Collator(language).compare),
      name: () => new Intl.DisplayNames(language, { type: "region" }).of("DE"),
      unit: () => new Intl.NumberFormat(language, { style: "unit", unit: "liter" }).format(1),
      words: () =>
        Array.from(new Intl.Segmenter(language, { granularity: "word" }).segment("a b"), (part) => part.segment),
    }),
  ]),
);

process.stdout.write(JSON.stringify({ neutral, ofLanguages }));
