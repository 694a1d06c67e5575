/** The durable log failed: a write, a sync or a guard write was refused. Fatal to the process; nothing may be tried again. */
export class LogFailed extends Error {
  override readonly name = "LogFailed";
}

/** A stored block that was good at open no longer reads back as written (invariant A13). Fatal to the process. */
export class LogDamaged extends Error {
  override readonly name = "LogDamaged";
}

/** Another process (or another handle in this one) has the data folder open. */
export class FolderBusy extends Error {
  override readonly name = "FolderBusy";
  constructor(path: string, cause: unknown) {
    super(
      `${path} is open elsewhere: a data folder belongs to one running member. Stop the other process, then start this one again.`,
      {
        cause,
      },
    );
  }
}
