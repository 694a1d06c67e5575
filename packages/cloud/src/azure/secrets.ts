/** Secrets from Key Vault. Its names have letters, digits and hyphens only: a slash of the path becomes a hyphen. */
import type { Secrets } from "../provider.ts";
import { namedSecrets } from "../secrets/named-secrets.ts";
import { vaultNameGrammar, type Vault } from "./vault.ts";

export const vaultNameOf = (path: string): string => path.replaceAll("/", "-");

export const makeSecrets = (vault: Vault): Secrets =>
  namedSecrets({
    provider: "azure",
    where: "in the vault",
    nameOf: vaultNameOf,
    nameGrammar: vaultNameGrammar,
    alphabet: "letters, digits, - and / only",
    read: (name, version, signal) => vault.secret(name, version, signal),
  });
