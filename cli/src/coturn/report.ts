import { type Entry, type Finding, shownLine } from "./settings.ts";

const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

/** How many settings became what, in one line. */
export function summary(findings: readonly Finding[]): string {
  const count = (fate: Finding["fate"]): number => findings.filter((finding) => finding.fate === fate).length;
  return [
    `${plural(findings.length, "setting", "settings")}: ${count("taken")} taken over`,
    `${count("unneeded")} not needed`,
    `${count("none")} without an equivalent`,
    `${count("bad")} that cannot be read`,
  ].join(", ");
}

/** Whether something that the file asks for is not in the result. */
export function isIncomplete(findings: readonly Finding[]): boolean {
  return findings.some(({ fate }) => fate === "none" || fate === "bad");
}

/** One line for each setting that is not in the result though it asks for something. */
export function problems(findings: readonly Finding[], file: string): readonly string[] {
  return findings.flatMap((finding) => {
    if (finding.fate === "bad") return [`${place(finding, file)}: ${finding.text}`];
    return finding.fate === "none" ? [`${place(finding, file)}: no equivalent. ${plain(finding.text)}`] : [];
  });
}

function place({ line }: Finding, file: string): string {
  return `${file}:${line.number}: ${shownLine(line)}`;
}

/** Notes are Markdown for the guide; here they are plain. */
function plain(text: string): string {
  return text.replaceAll("`", "");
}

const LISTS = [
  { fate: "bad", title: "Cannot be read, and is left out:" },
  { fate: "none", title: "Without an equivalent:" },
  { fate: "unneeded", title: "Not needed:" },
] as const;

/** How coturn and Culvert differ, whatever the file says. */
const DIFFERENCES = [
  "Private addresses (10.0.0.0/8, fc00::/7, ...) are no peers, unless relay.peers.allow opens them.",
  "TLS has a port of its own, and DTLS is not served.",
  "Without listening-ip the listeners are IPv4 only; add some on :: for IPv6.",
];

/** What stands above the result. */
export function header(findings: readonly Finding[], file: string): readonly string[] {
  const lists = LISTS.flatMap(({ fate, title }) => {
    const of = findings.filter((finding) => finding.fate === fate);
    if (of.length === 0) return [];
    return ["", title, ...of.map(({ line, text }) => `  ${line.number}: ${shownLine(line)}: ${plain(text)}`)];
  });
  const differences = [
    "",
    "Other than with coturn, whatever the file says:",
    ...DIFFERENCES.map((text) => `  ${text}`),
  ];
  return [`From ${file}, by 'culvert import-coturn'. ${summary(findings)}.`, ...lists, ...differences, ""];
}

/** The lines that a key comes from, as its comment. */
export function sources({ lines }: Pick<Entry, "lines">, file: string): readonly string[] {
  return lines.map((line) => `${file}:${line.number}: ${shownLine(line)}`);
}
