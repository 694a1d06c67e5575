import { describe, expect, it } from "vitest";
import { replaceReferences, secretVariable, type ReferenceSources } from "./references.ts";

const asked: string[] = [];
const sources: ReferenceSources = {
  env: { HOST: "edge", EMPTY: "", AETHER_SECRET_A_B: "from-env", LOOP: "${env:HOST}" },
  readSecret: (path) => (asked.push(path), path === "file/secret" ? "from-file\n" : path === "hollow" ? "\n" : undefined),
  secretsFolder: "/home/ops/secrets",
};
const text = (value: string): string => {
  const { text: replaced, faults } = replaceReferences(value, sources);
  return faults.length === 0 ? replaced : `fault: ${faults.map(({ message }) => message).join("; ")}`;
};

describe("references in values", () => {
  it("are replaced wherever they stand, several in one value", () => {
    expect(text("${env:HOST}")).toBe("edge");
    expect(text("a-${env:HOST}-${secrets:a/b}-z")).toBe("a-edge-from-env-z");
    expect(text("no reference: $ { } ${ }".replace("${ }", ""))).toBe("no reference: $ { } ");
    expect(text("${env:EMPTY}")).toBe("");
  });

  it("prefer the environment, and fall back to a file without its last line end", () => {
    expect(text("${secrets:a/b}")).toBe("from-env");
    expect(text("${secrets:file/secret}")).toBe("from-file");
    expect(secretVariable("Team.x/key-2")).toBe("AETHER_SECRET_TEAM_X_KEY_2");
  });

  it("are not looked for in what they gave, and can be escaped", () => {
    expect(text("${env:LOOP}")).toBe("${env:HOST}");
    expect(text("$${env:HOST}")).toBe("${env:HOST}");
    expect(text("$${${env:HOST}}")).toBe("${edge}");
  });

  it("may want a field of a JSON value, and a version of the provider's", () => {
    const stores: ReferenceSources = {
      env: { AETHER_SECRET_DB: '{"user":{"password":"p-4711"},"port":5432}' },
      readSecret: () => undefined,
      fromProvider: ({ path, version, field }) => (path === "vault/key" ? `v${version ?? "-"} ${field ?? "-"}` : undefined),
    };
    const read = (value: string) => {
      const { text: found, faults } = replaceReferences(value, stores);
      return faults[0]?.message ?? found;
    };
    expect(read("${secrets:db#user.password}/${secrets:db#port}")).toBe("p-4711/5432");
    expect(read("${secrets:db#user.name}")).toBe("${secrets:db#user.name} is not there: its secret is no JSON with that field");
    expect(read("${secrets:vault/key@3#a.b}")).toBe("v3 a.b");
    expect(read("${secrets:vault/key}")).toBe("v- -");
    // The environment keeps no versions, so it cannot say that its value is that one.
    expect(read("${secrets:db@2}")).toBe("${secrets:db@2} was not found");
    expect(read("${secrets:db@}")).toContain("is no path of a secret");
    expect(read("${secrets:db#a..b}")).toContain("is no path of a secret");
  });

  it("say where a secret was looked for", () => {
    const { faults } = replaceReferences("${secrets:none/here}", sources);
    expect(faults).toEqual([
      {
        message: "${secrets:none/here} was not found",
        expected: "the environment variable AETHER_SECRET_NONE_HERE, or the file none/here under /home/ops/secrets",
      },
    ]);
    expect(text("${secrets:hollow}")).toBe("fault: ${secrets:hollow} is empty");
    expect(text("${env:NONE}")).toBe("fault: ${env:NONE} is not set");
  });

  it("never climb out of the secrets folder, and never reach the object's own properties", () => {
    asked.length = 0;
    for (const path of ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "", "a b", "a\nb", "ä"]) {
      expect(text(`\${secrets:${path}}`)).toMatch(/^fault: .* is no path of a secret$/s);
    }
    expect(asked).toEqual([]);
    expect(text("${env:constructor}")).toBe("fault: ${env:constructor} is not set");
  });

  it("of another kind, without an end, or in great numbers are faults", () => {
    expect(text("${vault:x}")).toBe("fault: ${vault:x} is no kind of reference that is known");
    expect(text("${HOST}")).toBe("fault: ${HOST} is no kind of reference that is known");
    expect(text("${env:HOST")).toBe("fault: a reference begins with ${ and does not end");
    expect(text("${env:HOST}".repeat(17))).toBe("fault: 17 references in one value");
  });
});
