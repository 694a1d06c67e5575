/** The files in which AWS's tools keep profiles: sections of `name = value`. Pure. */

export type Section = Readonly<Record<string, string>>;

/** Sections by name. A section that comes twice is one; of a name that comes twice the last counts; what is no line of these is passed over. */
export function parseIni(text: string): ReadonlyMap<string, Section> {
  const sections = new Map<string, Record<string, string>>();
  let current: Record<string, string> | null = null;
  for (const line of text.replace(/^\uFEFF/, "").split(/\r?\n/)) {
    // An indented line belongs to the value before it (`s3 =`), of which nothing is needed here.
    if (/^\s|^[#;]|^$/.test(line)) continue;
    const section = /^\[([^\]]*)\]\s*([#;].*)?$/.exec(line)?.[1];
    if (section !== undefined) {
      const name = section.trim().replaceAll(/\s+/g, " ");
      current = sections.get(name) ?? {};
      sections.set(name, current);
      continue;
    }
    const at = line.indexOf("=");
    if (current === null || at <= 0) continue;
    const value = line
      .slice(at + 1)
      .replace(/\s[#;].*$/, "")
      .trim();
    current[line.slice(0, at).trim().toLowerCase()] = value;
  }
  return sections;
}
