/** What a daemon that cannot go on says last: what failed, all the way down, and what the reader can do about it. */

export interface FatalReport {
  /** The error's class, e.g. "LogFailed". */
  readonly error: string;
  /** The error and what caused it, each said once. */
  readonly message: string;
  /** The next step, for people. */
  readonly next: string;
}

const causesMax = 8;

/** `dataDir` is named in the hint. Pure. */
export function reportFatal(error: Error, dataDir: string): FatalReport {
  const chain = chainOf(error);
  let message = error.message;
  for (const { message: cause } of chain.slice(1)) if (!message.includes(cause)) message += `: ${cause}`;
  const kind = kinds.find(({ codes, text }) => chain.some((e) => codes.includes(codeOf(e)) || text.test(e.message)));
  return { error: error.name, message, next: kind === undefined ? nextDefault : kind.next(dataDir) };
}

function chainOf(error: Error): readonly Error[] {
  const chain: Error[] = [];
  for (let at: unknown = error; at instanceof Error && chain.length < causesMax; at = at.cause) chain.push(at);
  return chain;
}

const codeOf = (error: Error): string => (error as NodeJS.ErrnoException).code ?? error.name;

const nextDefault = "nothing was retried; the log on disk is what counts: start again";

/** System errors by code where Node reports them, by text where LevelDB does. The first that fits is told. */
const kinds: readonly { readonly codes: readonly string[]; readonly text: RegExp; readonly next: (dataDir: string) => string }[] =
  [
    {
      codes: ["ENOSPC", "EDQUOT"],
      text: /No space left on device|Disk quota exceeded/,
      next: (dataDir) =>
        `the disk is full: free some space where ${dataDir} lies, deleting nothing inside it but retired-* folders, and start again; ` +
        "nothing acknowledged is lost",
    },
    {
      codes: ["EIO", "LogDamaged"],
      text: /Input\/output error/,
      next: (dataDir) =>
        `the disk under ${dataDir} fails: look at the kernel's log (dmesg); on a sound disk start again, with an empty folder if this one cannot ` +
        "be trusted: the node then rejoins by itself under a new member number",
    },
    {
      codes: ["Damaged"],
      text: /^$/,
      next: (dataDir) =>
        `what was read back under ${dataDir} is not what was written: look at the kernel's log (dmesg); on a sound disk start again: ` +
        "the state is then built anew from the log",
    },
    {
      codes: ["FolderRecovered"],
      text: /^$/,
      next: () => "nothing was touched; aether cluster recover says what is left to do",
    },
    {
      codes: ["EROFS"],
      text: /Read-only file system/,
      next: (dataDir) =>
        `${dataDir} is mounted read-only, often because the kernel found its disk faulty (dmesg): mend that and start again`,
    },
    {
      codes: ["EACCES", "EPERM"],
      text: /Permission denied/,
      next: (dataDir) => `the user that aetherd runs as must own ${dataDir} and all that is in it: mend that and start again`,
    },
    {
      codes: ["EMFILE", "ENFILE"],
      text: /Too many open files/,
      next: () => "raise the limit of open files (ulimit -n) and start again",
    },
    {
      codes: ["Broken"],
      text: /^A\d+ /,
      next: (dataDir) =>
        `an invariant did not hold, which is a defect of Aether, of memory or of the disk: keep a copy of ${dataDir} and of this log for us, ` +
        "and start again",
    },
  ];
