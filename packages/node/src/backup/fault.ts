/** Why a backup, a mirror or a push was not done, in words that are recorded and shown, and what to do about it. */

export interface BackupFaultText {
  readonly why: string;
  readonly hint: string;
}

const charsMax = 1_000;
const causesMax = 4;

/** `dir`: the repository's, for the hint. */
export function backupFault(error: unknown, dir: string): BackupFaultText {
  const chain: Error[] = [];
  for (let at = error; at instanceof Error && chain.length < causesMax; at = at.cause) chain.push(at);
  const why = chain.length === 0 ? String(error) : chain.map(({ message }) => message).join(": ");
  const codes = chain.map((each) => (each as NodeJS.ErrnoException).code ?? each.name);
  const known = hints.find((hint) => hint.codes.some((code) => codes.includes(code)));
  return { why: why.slice(0, charsMax), hint: (known?.say(dir) ?? "it is tried again by itself").slice(0, charsMax) };
}

const hints: readonly { readonly codes: readonly string[]; readonly say: (dir: string) => string }[] = [
  {
    codes: ["ENOSPC", "EDQUOT"],
    say: (dir) =>
      `the disk is full: free some space where ${dir} lies, or give [backup] path a larger one; it is tried again by itself`,
  },
  { codes: ["EROFS"], say: (dir) => `${dir} is mounted read-only: mend that; it is tried again by itself` },
  {
    codes: ["EACCES", "EPERM"],
    say: (dir) => `the user that aetherd runs as must own ${dir} and all that is in it; it is tried again by itself`,
  },
  {
    codes: ["ObjectDamaged", "BackupFault"],
    say: (dir) =>
      `aether backup verify names what is damaged in ${dir}; moved away, it comes again from another member, or begins anew where none has it`,
  },
  {
    codes: ["BranchMoved"],
    say: (dir) => `somebody else writes to ${dir}: nobody but this member may; it is tried again by itself`,
  },
];
