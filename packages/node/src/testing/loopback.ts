/** Addresses of this computer for tests that need many machines. */

/** One of the sixteen million of 127.0.0.0/8, not 127.0.0.x and not 127.1.x.x, where people's own things are. */
export function randomLoopback(): string {
  const byte = (low: number): number => low + Math.floor(Math.random() * (254 - low));
  return `127.${byte(2)}.${byte(0)}.${byte(2)}`;
}
