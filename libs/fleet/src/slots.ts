/**
 * A slot: a contiguous range of relayed ports on one relayed IP address, written `ip/min-max`. The unit of ownership,
 * drain, restart and failover.
 */
export type SlotName = string;

export interface SlotRange {
  /** The relayed address as clients and peers know it. */
  readonly ip: string;
  readonly min: number;
  readonly max: number;
}

export function slotName({ ip, min, max }: SlotRange): SlotName {
  return `${ip}/${min}-${max}`;
}

const SLOT = /^([0-9a-fA-F.:]+)\/(\d{1,5})-(\d{1,5})$/;

/** Undefined for what is no slot's name. */
export function parseSlot(name: SlotName): SlotRange | undefined {
  const [, ip, first, last] = SLOT.exec(name) ?? [];
  const [min, max] = [Number(first), Number(last)];
  return ip !== undefined && min >= 1 && min <= max && max <= 65_535 ? { ip, min, max } : undefined;
}

/** The slots of one address, in the order of their ports: `size` ports each, the last one what is left over. */
export function cutSlots({ ip, min, max }: SlotRange, size: number): readonly SlotName[] {
  const slots: SlotName[] = [];
  for (let first = min; first <= max; first += size) {
    slots.push(slotName({ ip, min: first, max: Math.min(first + size - 1, max) }));
  }
  return slots;
}
