/** Renders docs/cluster-toml.md from the Schema, so that the page cannot say what the parser does not do. */
import { sections, type SectionDoc } from "./cluster-schema.ts";
import type { KeyDoc } from "./key-doc.ts";

const head = `# cluster.toml

One file says what a cluster is to be: \`aether cluster bootstrap --config cluster.toml\`. It is TOML 1.0. This page is generated from
the Schema that reads it (\`packages/core/src/config/cluster-schema.ts\`).

\`\`\`toml
[cluster]
name = "production"
size = 5

[cloud]
provider = "hetzner"
region = "fsn1"
instance_type = "cx31"

[security]
cluster_secret = "\${secrets:cluster/secret}"
\`\`\`

The shortest file for this computer has \`[cluster] name\` and \`[cloud] provider = "local"\`. A key or section that is not on this page is
an error. All errors of a file are reported at once, each with its line, its key, what is wrong and what would be right.
`;

const references = `## References

In any text value, also several in one:

| written | gives |
|---|---|
| \`\${env:NAME}\` | the environment variable NAME |
| \`\${secrets:path}\` | the environment variable \`AETHER_SECRET_\` + path in capitals, or the file of that path under the secrets folder |
| \`\${secrets:path@version#field}\` | a version of it, from a provider that keeps versions; a field of a value that is JSON, \`user.password\` |
| \`$\${\` | a plain \`\${\` |

In the variable's name every character of the path that is no letter or digit becomes \`_\`: \`\${secrets:cluster/secret}\` is looked for in
\`AETHER_SECRET_CLUSTER_SECRET\`. A file's last line end does not count. A path begins with a letter or digit, goes on with those and
\`_ . / -\`, and cannot climb out of the folder.
What is found in neither place is asked of the cluster's provider, where it keeps secrets.
\`\${secrets:…}\` is possible only in keys that are marked secret below.

References are resolved in the parsed file: one in a comment is a comment, and no value can change the file's structure. What they give
is not looked at again. What is stored of a file has the references in place of their values; only the sections about clouds, which can
hold no secret, are stored as resolved, because the cluster's leader makes machines from them.

A complete example for each provider is in \`fixtures/clusters/\`.
`;

/** The whole page. */
export const renderReference = (): string => [head, references, ...[...sections.values()].map(renderSection)].join("\n");

function renderSection({ name, doc, keys }: SectionDoc): string {
  const lines = [...keys].map(([key, about]) => renderKey(key, about));
  return [
    `## [${name}]`,
    "",
    doc,
    "",
    "| key | type | when left out | meaning | for example |",
    "|---|---|---|---|---|",
    ...lines,
    "",
  ].join("\n");
}

function renderKey(key: string, { type, doc, rule, example, default: otherwise, secret }: KeyDoc): string {
  const cells = [
    `\`${key}\``,
    secret === true ? `${type}, secret` : type,
    otherwise ?? "**required**",
    `${doc} Rule: ${rule}.`,
    `\`${key} = ${example}\``,
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
