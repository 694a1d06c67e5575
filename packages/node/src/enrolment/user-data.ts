/**
 * What a new machine is given by the vendor: a cloud-config whose body is JSON, which is YAML too. Readable to every process of the machine:
 * the one secret in it is the ticket.
 */
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import { daemonNodeOptions } from "../daemon/node-options.ts";
import { birthText, type Birth } from "./birth-file.ts";
import { paths, startScript, unit, type Bundle } from "./start-script.ts";

const head = "#cloud-config\n";

/** At most 16 KiB are for all vendors; this is some 4 KiB. The same birth and bundle give the same text. */
export function userDataFor(birth: Birth, bundle: Bundle | null): Redacted {
  const files = [
    { path: paths.birth, permissions: "0600", content: birthText(birth) },
    { path: paths.script, permissions: "0755", content: startScript(bundle) },
    { path: paths.unit, permissions: "0644", content: unit(daemonNodeOptions) },
  ];
  const config = { write_files: files, runcmd: [["sh", paths.script]] };
  return redact(head + ascii(JSON.stringify(config)) + "\n");
}

/** YAML reads fewer characters as they stand than JSON does. */
const ascii = (json: string): string =>
  json.replaceAll(/[^\n\x20-\x7e]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

const CloudConfig = Schema.Struct({
  write_files: Schema.Array(Schema.Struct({ path: Schema.String, permissions: Schema.String, content: Schema.String })),
  runcmd: Schema.Array(Schema.Array(Schema.String)),
});
/** What a machine does with its user data, of all that cloud-init can do. */
export type CloudConfig = typeof CloudConfig.Type;
const decode = Schema.decodeUnknownSync(CloudConfig, { onExcessProperty: "error" });

/** Reads what {@link userDataFor} wrote. Throws on anything else; the error repeats none of the text. */
export function readUserData(userData: Redacted): CloudConfig {
  const text = reveal(userData);
  if (!text.startsWith(head)) throw new Error("the user data is no cloud-config");
  try {
    return decode(JSON.parse(text.slice(head.length)));
  } catch {
    throw new Error("the user data is a cloud-config, but not one of Aether's");
  }
}
