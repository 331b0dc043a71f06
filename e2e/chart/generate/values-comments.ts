/** A key of values.yaml with the comment above it. */
export interface ValueComment {
  readonly path: readonly string[];
  /** Undefined: the key has no comment of its own. */
  readonly comment: string | undefined;
}

const KEY = /^( *)([A-Za-z][A-Za-z0-9]*):(?: |$)/;

/**
 * The keys of values.yaml in their order, each with the comment that begins with `# -- ` right above it. Keys inside of `{…}` and of lists
 * are not seen.
 */
export function readComments(yaml: string): readonly ValueComment[] {
  const found: ValueComment[] = [];
  const open: { indent: number; key: string }[] = [];
  let comment: string[] | undefined;
  for (const line of yaml.split("\n")) {
    const begin = /^ *# -- (.*)$/.exec(line)?.[1];
    const more = /^ *# (?!-- )(.*)$/.exec(line)?.[1];
    const [, spaces, key] = KEY.exec(line) ?? [];
    if (begin !== undefined) comment = [begin];
    else if (more !== undefined) comment?.push(more);
    else if (spaces !== undefined && key !== undefined) {
      while ((open.at(-1)?.indent ?? -1) >= spaces.length) open.pop();
      open.push({ indent: spaces.length, key });
      found.push({ path: open.map((each) => each.key), comment: comment?.join(" ") });
      comment = undefined;
    } else comment = undefined;
  }
  return found;
}

/** Keys that neither have a comment, nor lie under one that has, nor hold keys. */
export function uncommented(comments: readonly ValueComment[]): readonly string[] {
  const names = comments.map(({ path }) => path.join("."));
  const covered = new Set(comments.filter(({ comment }) => comment !== undefined).map(({ path }) => path.join(".")));
  return comments
    .filter(({ path }) => !path.some((_, at) => covered.has(path.slice(0, at + 1).join("."))))
    .map(({ path }) => path.join("."))
    .filter((name) => !names.some((other) => other.startsWith(`${name}.`)));
}
