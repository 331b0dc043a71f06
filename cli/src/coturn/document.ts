import { stringify } from "yaml";

/** A key of a YAML document, with the lines of comment above it. */
export interface Item {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly comments: readonly string[];
}

type Tree = Map<string, Tree | Item>;

const isItem = (node: Tree | Item): node is Item => !(node instanceof Map);

/** A YAML document: mappings in blocks, items of lists on lines of their own. The comments of a key that stands twice are all kept. */
export function yamlDocument(header: readonly string[], items: readonly Item[]): string {
  const root: Tree = new Map();
  for (const item of items) {
    const [last = "", ...before] = [...item.path].reverse();
    let tree = root;
    for (const key of before.reverse()) {
      const inner = tree.get(key);
      const next: Tree = inner === undefined || isItem(inner) ? new Map() : inner;
      tree.set(key, next);
      tree = next;
    }
    const earlier = tree.get(last);
    const comments = earlier !== undefined && isItem(earlier) ? earlier.comments : [];
    tree.set(last, { ...item, comments: [...new Set([...comments, ...item.comments])] });
  }
  return `${[...header.map(comment), ...block(root, "")].join("\n")}\n`;
}

export function comment(text: string): string {
  return text === "" ? "#" : `# ${text}`;
}

function block(tree: Tree, indent: string): string[] {
  return [...tree].flatMap(([key, node]) => {
    if (!isItem(node)) return [`${indent}${key}:`, ...block(node, `${indent}  `)];
    return [...node.comments.map((text) => indent + comment(text)), ...leaf(key, node.value, indent)];
  });
}

function leaf(key: string, value: unknown, indent: string): string[] {
  if (Array.isArray(value) && value.length > 0) {
    return [`${indent}${key}:`, ...value.map((item: unknown) => `${indent}  - ${flow(item)}`)];
  }
  return [`${indent}${key}: ${flow(value)}`];
}

function flow(value: unknown): string {
  return stringify(value, { collectionStyle: "flow", lineWidth: 0, flowCollectionPadding: true }).trimEnd();
}
