/** What the fakes of AWS's services say, and how they refuse. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    [this.status, this.code] = [status, code];
  }
}

export type Xml = string;
export type Form = readonly (readonly [string, string])[];

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
export const tag = (name: string, content: Xml): Xml => `<${name}>${content}</${name}>`;
export const leaf = (name: string, text: string | number): Xml => tag(name, escaped(String(text)));
/** A list as EC2 gives it. */
export const set = (name: string, items: readonly Xml[]): Xml => tag(name, items.map((item) => tag("item", item)).join(""));
/** A list as the Query services give it. */
export const members = (name: string, items: readonly Xml[]): Xml => tag(name, items.map((item) => tag("member", item)).join(""));

/** The values of `Name.1`, `Name.2` (or `Name.member.1`), in the order sent. */
export const valuesOf = (form: Form, name: string): readonly string[] =>
  form.flatMap(([key, value]) => (new RegExp(`^${name}\\.\\d+$`).test(key) ? [value] : []));
