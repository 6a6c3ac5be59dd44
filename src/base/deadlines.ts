/**
 * Things that become due, the earliest first: a binary heap whose members know their place, so that one which is done
 * early (nearly all of them) leaves in O(log n) without a search and without a tombstone.
 */

export interface Due {
  /** When it is due, in whatever clock the owner uses. Must not change while it is in a heap. */
  dueAt: number;
  /** Place in the heap; -1 while it is in none. Only {@link Deadlines} writes it. */
  heapIndex: number;
}

export class Deadlines<T extends Due> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The one that is due first. */
  get first(): T | undefined {
    return this.#heap[0];
  }

  add(item: T): void {
    item.heapIndex = this.#heap.length;
    this.#heap.push(item);
    this.#up(item, item.heapIndex);
  }

  /** Takes an item out; nothing happens when it is not in. */
  remove(item: T): void {
    const at = item.heapIndex;
    if (at < 0) return;
    item.heapIndex = -1;
    const last = this.#heap.pop() as T;
    if (last === item) return;
    // The hole is filled by the last one, which may have to go either way.
    if (this.#up(last, at) === at) this.#down(last, at);
  }

  /** Takes out the first item if it is due at `now`. */
  take(now: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.dueAt > now) return undefined;
    this.remove(first);
    return first;
  }

  clear(): void {
    for (const item of this.#heap) item.heapIndex = -1;
    this.#heap.length = 0;
  }

  #up(item: T, from: number): number {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent.dueAt <= item.dueAt) break;
      heap[at] = parent;
      parent.heapIndex = at;
      at = parentAt;
    }
    heap[at] = item;
    item.heapIndex = at;
    return at;
  }

  #down(item: T, from: number): void {
    const heap = this.#heap;
    const length = heap.length;
    let at = from;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= length) break;
      if (childAt + 1 < length && heap[childAt + 1].dueAt < heap[childAt].dueAt) childAt++;
      const child = heap[childAt];
      if (child.dueAt >= item.dueAt) break;
      heap[at] = child;
      child.heapIndex = at;
      at = childAt;
    }
    heap[at] = item;
    item.heapIndex = at;
  }
}
