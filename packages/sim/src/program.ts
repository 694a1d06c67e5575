/** What the commands of this package have in common. */

/**
 * Runs one: what `parse` throws is told with the usage and ends with exit code 2; otherwise `run` gives the exit code.
 * What `run` throws was not to be expected and is not caught.
 */
export async function runProgram<O>(usage: string, parse: () => O, run: (options: O) => Promise<number>): Promise<void> {
  let options: O;
  try {
    options = parse();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}`);
    process.exitCode = 2;
    return;
  }
  process.exitCode = await run(options);
}
