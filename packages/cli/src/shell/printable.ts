/** What others wrote (values, reasons, names), made fit for one line of a terminal. */

/** Controls of C0 and C1, line ends among them, and what turns the direction of writing: each could disguise what is shown. */
const unfit = /[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu;
const short: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The text on one line: "\n" for a line feed, "\u001b" for an escape, and so on; any other character as it is. */
export const printable = (text: string): string =>
  text.replaceAll(unfit, (found) => short[found] ?? `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
