import { describe, expect, it } from "vitest";
import { scanPositions, type Path } from "./positions.ts";

const at = (text: string, ...path: Path): string => {
  const positions = scanPositions(text);
  const { line, column } = positions.of(path);
  return positions.has(path) ? `${line}:${column}` : "absent";
};

describe("where the keys of a TOML text stand", () => {
  it("finds plain keys below their table, whatever white space and comments say", () => {
    const text = '# [fake]\n\n[a]   # k = 1\n  k = "# no [comment]" # x = 2\n\n\t[ b . c ]\nk=1\n';
    expect(at(text, "a")).toBe("3:2");
    expect(at(text, "a", "k")).toBe("4:3");
    expect(at(text, "b")).toBe("6:4");
    expect(at(text, "b", "c")).toBe("6:8");
    expect(at(text, "b", "c", "k")).toBe("7:1");
    expect(at(text, "fake")).toBe("absent");
    expect(at(text, "a", "x")).toBe("absent");
  });

  it("finds dotted and quoted keys, escapes included", () => {
    const text = 'a.b."c d" = 1\n\'x.y\'.z = 2\n"q\\u0041\\"" = 3\n"" = 4\n1.2 = 5\n';
    expect(at(text, "a", "b", "c d")).toBe("1:5");
    expect(at(text, "x.y", "z")).toBe("2:7");
    expect(at(text, 'qA"')).toBe("3:1");
    expect(at(text, "")).toBe("4:1");
    expect(at(text, "1", "2")).toBe("5:3");
  });

  it("finds keys inside inline tables and arrays", () => {
    const text = "t = { a = 1, b.c = { d = [1, 2] } }\nl = [\n  { n = 1 }, # one = 1\n  { n = 2 },\n]\nend = 1\n";
    expect(at(text, "t", "b", "c", "d")).toBe("1:22");
    expect(at(text, "t", "b", "c", "d", 1)).toBe("1:30");
    expect(at(text, "l", 1, "n")).toBe("4:5");
    expect(at(text, "end")).toBe("6:1");
  });

  it("is not misled by strings of any kind", () => {
    const text = [
      'a = """',
      'x = 1 \\"""',
      '[t]""""',
      "b = '''",
      "y = ']'''",
      "c = 'q\\'",
      'd = "\\\\"',
      'e = "\\""',
      "f = 1979-05-27 07:32:00",
      "g = 2",
    ];
    const whole = text.join("\n");
    expect(at(whole, "x")).toBe("absent");
    expect(at(whole, "t")).toBe("absent");
    expect(at(whole, "y")).toBe("absent");
    expect(at(whole, "b")).toBe("4:1");
    expect(at(whole, "d")).toBe("7:1");
    expect(at(whole, "g")).toBe("10:1");
  });

  it("counts the elements of an array of tables, and puts sub-tables into the newest", () => {
    const text = "[[m]]\nk = 1\n[[m]]\nk = 2\n[m.s]\nk = 3\n[[m.l]]\nk = 4\n";
    expect(at(text, "m", 0, "k")).toBe("2:1");
    expect(at(text, "m", 1, "k")).toBe("4:1");
    expect(at(text, "m", 1, "s", "k")).toBe("6:1");
    expect(at(text, "m", 1, "l", 0, "k")).toBe("8:1");
  });

  it("answers with the nearest table above a key that is not written, and with the start for nothing at all", () => {
    const positions = scanPositions("\n[a]\nk = 1\r\nl = 2\r\n");
    expect(positions.of(["a", "missing"])).toEqual({ line: 2, column: 2 });
    expect(positions.of(["a", "l"])).toEqual({ line: 4, column: 1 });
    expect(positions.of(["nothing", "here"])).toEqual({ line: 1, column: 1 });
  });
});
