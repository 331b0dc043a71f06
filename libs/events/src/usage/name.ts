const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** @throws RangeError unless it can name followers */
export function assertName(name: string): void {
  if (!NAME.test(name))
    throw new RangeError(`${JSON.stringify(name)}: followers have a name of 1 to 64 of A-Za-z0-9_-`);
}
