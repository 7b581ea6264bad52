/**
 * Walks the pages of an LMDB file without LMDB, which trusts what it maps: a page that leads outside the file, or to
 * itself, would end the process. Owns the shape of the trees: where pages lead, and that keys are in order; whoever asks for
 * the walk is shown the entries.
 *
 * Layout (`MDB_page`, `MDB_node`, `MDB_db` of lmdb's mdb.c, data version 2, 64 bit, little-endian).
 */
import { readSync } from 'node:fs';

const PAGE_HEADER = 24;
const NODE_HEADER = 8;
const DB_BYTES = 48;
const NO_PAGE = 0xffffffffffffffffn;

const BRANCH = 0x01;
const LEAF = 0x02;
const OVERFLOW = 0x04;

const BIG_DATA = 0x01;
const SUB_DATA = 0x02;

const DEPTH_MAX = 32;
const FREE = 'of free pages';

/** What a database record says of its tree. */
export interface TreeRecord {
  readonly flags: number;
  readonly depth: number;
  readonly entries: bigint;
  readonly root: bigint;
}

/** Thrown by the walk, with what is wrong in words. */
export class Damage extends Error {}

export function readTreeRecord(bytes: Buffer, at: number): TreeRecord {
  return {
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    entries: bytes.readBigUInt64LE(at + 32),
    root: bytes.readBigUInt64LE(at + 40),
  };
}

/** An entry of a leaf: where its key and its value begin and end. */
export interface Entry {
  readonly key: Buffer;
  readonly keyAt: number;
  readonly keyEnd: number;
  readonly value: Buffer;
  readonly valueAt: number;
  readonly valueEnd: number;
}

export interface FileShape {
  readonly handle: number;
  readonly pageSize: number;
  readonly lastPage: number;
  /** Of the transaction that wrote the header: no page is younger. */
  readonly transaction: number;
}

/** A node of a page that is being looked at: one object for all, since there are millions. */
interface Node {
  keyAt: number;
  keyEnd: number;
  flags: number;
  /** Of a leaf: length of the value. */
  bytes: number;
  /** Of a branch. */
  child: number;
}

type OnEntry = (entry: Entry) => void;

export class PageTrees {
  readonly #file: FileShape;
  /** Pages that a tree leads to: none belongs to two. */
  readonly #reached: Uint8Array;
  /** One page of each depth at a time. */
  readonly #pages: Buffer[] = [];
  readonly #node: Node = { keyAt: 0, keyEnd: 0, flags: 0, bytes: 0, child: 0 };
  /** Names of the databases that were found. */
  readonly names: string[] = [];

  constructor(file: FileShape) {
    this.#file = file;
    this.#reached = new Uint8Array((file.lastPage >> 3) + 1);
  }

  /**
   * The tree that names the others, and all of them.
   * @param onEntry gives what is to be called with each entry of a database
   * @throws Damage
   */
  walkMain(main: TreeRecord, onEntry: (database: string) => OnEntry | undefined): void {
    const trees: [string, TreeRecord][] = [];
    this.#walkTree(main, 'main', ({ key, keyAt, keyEnd, value, valueAt, valueEnd }) => {
      if ((this.#node.flags & SUB_DATA) === 0) return;
      if (valueEnd - valueAt !== DB_BYTES) throw new Damage('the record of a database has a wrong size');
      // Names are stored with the zero that ends them in C, or without.
      const name = key.toString('latin1', keyAt, keyEnd).replace(/\0$/, '');
      trees.push([name, readTreeRecord(value, valueAt)]);
    });
    for (const [name, tree] of trees) {
      if (tree.flags !== main.flags) throw new Damage(`the database ${name} has foreign flags`);
      this.names.push(name);
      this.#walkTree(tree, name, onEntry(name));
    }
  }

  /** The tree of free pages: what is free must not be in use. @throws Damage */
  walkFree(free: TreeRecord): void {
    this.#walkTree(free, FREE, ({ value, valueAt, valueEnd }) => {
      this.#checkFreeList(value.subarray(valueAt, valueEnd));
    });
  }

  #checkFreeList(list: Buffer): void {
    if (list.byteLength < 8) throw new Damage('a list of free pages is cut off');
    const count = Number(list.readBigUInt64LE(0));
    if ((count + 1) * 8 > list.byteLength) throw new Damage('a list of free pages is longer than its record');
    let run = 1;
    for (let i = 1; i <= count; i++) {
      const entry = list.readBigInt64LE(i * 8);
      // A negative number says how many pages in a row follow; zero fills a gap.
      if (entry < 0n) {
        run = Number(-entry);
        continue;
      }
      if (entry > 0n) this.#checkFree(Number(entry), run);
      run = 1;
    }
  }

  #checkFree(first: number, count: number): void {
    if (first < 2 || first + count - 1 > this.#file.lastPage)
      throw new Damage(`free page ${first} is outside the file`);
    for (let page = first; page < first + count; page++)
      if (this.#isReached(page)) throw new Damage(`page ${page} is free and in use`);
  }

  #walkTree(tree: TreeRecord, name: string, onEntry?: OnEntry): void {
    if (tree.root === NO_PAGE) {
      if (tree.entries !== 0n || tree.depth !== 0) throw new Damage(`the tree ${name} has lost its root`);
      return;
    }
    if (tree.depth === 0 || tree.depth > DEPTH_MAX) throw new Damage(`the tree ${name} has a wrong depth`);
    const walk = { name, onEntry, entries: 0 };
    this.#visit(Number(tree.root), tree.depth, undefined, undefined, walk);
    if (BigInt(walk.entries) !== tree.entries)
      throw new Damage(`the tree ${name} has ${walk.entries} of ${tree.entries} entries`);
  }

  /** @param from all keys below the page are at least this, and less than `to` */
  #visit(
    at: number,
    depth: number,
    from: Buffer | undefined,
    to: Buffer | undefined,
    walk: { readonly name: string; readonly onEntry: OnEntry | undefined; entries: number },
  ): void {
    const branch = depth > 1;
    const page = this.#page(at, depth);
    const count = countOf(page, branch);
    const node = this.#node;
    const isOrdered = walk.name !== FREE;
    let beforeAt = 0;
    let beforeEnd = 0;
    let low = from;
    for (let i = 0; i < count; i++) {
      readNode(page, i, branch, node);
      const { keyAt, keyEnd, child } = node;
      // The first key of a branch means nothing: all that is less is there.
      if (isOrdered && !(branch && i === 0)) {
        const follows = i > (branch ? 1 : 0);
        if (follows && page.compare(page, beforeAt, beforeEnd, keyAt, keyEnd) <= 0)
          throw new Damage(`a key of ${walk.name} is out of order`);
        const outside =
          (!follows && from !== undefined && page.compare(from, 0, from.length, keyAt, keyEnd) < 0) ||
          (i === count - 1 && to !== undefined && page.compare(to, 0, to.length, keyAt, keyEnd) >= 0);
        if (outside) throw new Damage(`a key of ${walk.name} is on a wrong page`);
      }
      beforeAt = keyAt;
      beforeEnd = keyEnd;
      if (!branch) {
        walk.entries++;
        this.#show(page, node, walk.onEntry);
        continue;
      }
      if (i > 0) low = Buffer.from(page.subarray(keyAt, keyEnd));
      const high = i + 1 < count ? keyOf(page, i + 1) : to;
      this.#visit(child, depth - 1, isOrdered ? low : undefined, isOrdered ? high : undefined, walk);
    }
  }

  #show(page: Buffer, { keyAt, keyEnd, flags, bytes }: Node, onEntry: OnEntry | undefined): void {
    if ((flags & BIG_DATA) === 0) {
      onEntry?.({ key: page, keyAt, keyEnd, value: page, valueAt: keyEnd, valueEnd: keyEnd + bytes });
      return;
    }
    const at = Number(page.readBigUInt64LE(keyEnd));
    const count = this.#overflowPages(at, bytes);
    for (let i = 0; i < count; i++) this.#reach(at + i);
    if (onEntry === undefined) return;
    const value = this.#read(at, count, Buffer.allocUnsafe(count * this.#file.pageSize));
    onEntry({ key: page, keyAt, keyEnd, value, valueAt: PAGE_HEADER, valueEnd: PAGE_HEADER + bytes });
  }

  #page(at: number, depth: number): Buffer {
    this.#reach(at);
    const page = this.#read(at, 1, (this.#pages[depth] ??= Buffer.allocUnsafe(this.#file.pageSize)));
    if (numberAt(page, 0) !== at) throw new Damage(`page ${at} says that it is another`);
    if (numberAt(page, 8) > this.#file.transaction) throw new Damage(`page ${at} is younger than the file`);
    if ((page.readUInt16LE(18) & 0xff) !== (depth > 1 ? BRANCH : LEAF))
      throw new Damage(`page ${at} is of a wrong kind`);
    return page;
  }

  #overflowPages(at: number, bytes: number): number {
    if (at < 2 || at > this.#file.lastPage) throw new Damage(`page ${at} is outside the file`);
    const header = this.#read(at, 1, Buffer.allocUnsafe(this.#file.pageSize));
    if (numberAt(header, 0) !== at || (header.readUInt16LE(18) & 0xff) !== OVERFLOW)
      throw new Damage(`page ${at} is of a wrong kind`);
    const count = header.readUInt32LE(20);
    // A value that became shorter keeps the pages that it had.
    if (count < Math.ceil((PAGE_HEADER + bytes) / this.#file.pageSize))
      throw new Damage(`page ${at} has a wrong length`);
    if (at + count - 1 > this.#file.lastPage) throw new Damage(`page ${at} leads outside the file`);
    return count;
  }

  #read(at: number, pages: number, into: Buffer): Buffer {
    const { handle, pageSize } = this.#file;
    if (readSync(handle, into, 0, pages * pageSize, at * pageSize) < pages * pageSize)
      throw new Damage(`page ${at} is cut off`);
    return into;
  }

  #reach(at: number): void {
    if (at < 2 || at > this.#file.lastPage) throw new Damage(`page ${at} is outside the file`);
    if (this.#isReached(at)) throw new Damage(`two ways lead to page ${at}`);
    this.#reached[at >> 3]! |= 1 << (at & 7);
  }

  #isReached(at: number): boolean {
    return (this.#reached[at >> 3]! & (1 << (at & 7))) !== 0;
  }
}

/** Nodes of a page. */
function countOf(page: Buffer, branch: boolean): number {
  const lower = page.readUInt16LE(20);
  const upper = page.readUInt16LE(22);
  if (lower > upper || upper > page.byteLength - PAGE_HEADER || lower % 2 !== 0)
    throw new Damage('a page has wrong bounds');
  if (branch && lower < 4) throw new Damage('a branch has no children');
  return lower >> 1;
}

/** A node whose key and value lie within its page. */
function readNode(page: Buffer, i: number, branch: boolean, node: Node): void {
  const offset = page.readUInt16LE(PAGE_HEADER + 2 * i);
  const at = PAGE_HEADER + offset;
  if (offset < page.readUInt16LE(22) || at + NODE_HEADER > page.byteLength)
    throw new Damage('a node lies outside its page');
  const low = page.readUInt32LE(at);
  const flags = page.readUInt16LE(at + 4);
  node.keyAt = at + NODE_HEADER;
  node.keyEnd = node.keyAt + page.readUInt16LE(at + 6);
  node.flags = branch ? 0 : flags;
  node.bytes = low;
  node.child = branch ? low + flags * 2 ** 32 : 0;
  const inPage = branch ? 0 : (flags & BIG_DATA) !== 0 ? 8 : low;
  if (node.keyEnd + inPage > page.byteLength) throw new Damage('a node leads outside its page');
}

function keyOf(page: Buffer, i: number): Buffer {
  const node: Node = { keyAt: 0, keyEnd: 0, flags: 0, bytes: 0, child: 0 };
  readNode(page, i, true, node);
  return Buffer.from(page.subarray(node.keyAt, node.keyEnd));
}

/** A number of eight bytes; not exact above 2^53, where none of ours is. */
function numberAt(page: Buffer, at: number): number {
  return page.readUInt32LE(at) + page.readUInt32LE(at + 4) * 2 ** 32;
}
