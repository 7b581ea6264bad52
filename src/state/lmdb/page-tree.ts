/**
 * Walks the pages of an LMDB file without LMDB, which trusts what it maps: a page that leads outside the file, or to
 * itself, would end the process. Owns the shape of the trees; what the values say is checked by whoever reads them.
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

interface Node {
  readonly key: Buffer;
  readonly flags: number;
  /** Where the data begins in the page, and how long it is; of a branch: the child. */
  readonly dataAt: number;
  readonly dataBytes: number;
  readonly child: number;
}

export interface FileShape {
  readonly handle: number;
  readonly pageSize: number;
  readonly lastPage: number;
  /** Of the transaction that wrote the header: no page is younger. */
  readonly transaction: number;
}

export class PageTrees {
  readonly #file: FileShape;
  /** Pages that a tree leads to: none belongs to two. */
  readonly #reached: Uint8Array;
  /** Names of the databases that were found. */
  readonly names: string[] = [];

  constructor(file: FileShape) {
    this.#file = file;
    this.#reached = new Uint8Array((file.lastPage >> 3) + 1);
  }

  /** The tree that names the others, and all of them. @throws Damage */
  walkMain(main: TreeRecord): void {
    this.#walkTree(main, 'main', (node, page) => {
      if ((node.flags & SUB_DATA) === 0) return;
      if (node.dataBytes !== DB_BYTES) throw new Damage('the record of a database has a wrong size');
      // Names are stored with the zero that ends them in C, or without.
      const name = node.key.toString('latin1').replace(/\0$/, '');
      const tree = readTreeRecord(page, node.dataAt);
      if (tree.flags !== main.flags) throw new Damage(`the database ${name} has foreign flags`);
      this.names.push(name);
      this.#walkTree(tree, name);
    });
  }

  /** The tree of free pages: what is free must not be in use. @throws Damage */
  walkFree(free: TreeRecord): void {
    this.#walkTree(free, 'of free pages', (node, page) => {
      const list =
        (node.flags & BIG_DATA) === 0
          ? page.subarray(node.dataAt, node.dataAt + node.dataBytes)
          : this.#overflowBytes(Number(page.readBigUInt64LE(node.dataAt)), node.dataBytes);
      this.#checkFreeList(list);
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
      if (entry > 0n) {
        for (let page = Number(entry); page < Number(entry) + run; page++) {
          if (page < 2 || page > this.#file.lastPage)
            throw new Damage(`free page ${page} is outside the file`);
          if (this.#isReached(page)) throw new Damage(`page ${page} is free and in use`);
        }
      }
      run = 1;
    }
  }

  #walkTree(tree: TreeRecord, name: string, leaf?: (node: Node, page: Buffer) => void): void {
    if (tree.root === NO_PAGE) {
      if (tree.entries !== 0n || tree.depth !== 0) throw new Damage(`the tree ${name} has lost its root`);
      return;
    }
    if (tree.depth === 0 || tree.depth > DEPTH_MAX) throw new Damage(`the tree ${name} has a wrong depth`);
    const integers = name === 'of free pages';
    let entries = 0n;
    let before: Buffer | undefined;
    const visit = (at: number, depth: number, from: Buffer | undefined, to: Buffer | undefined): void => {
      const page = this.#page(at, depth === 1 ? LEAF : BRANCH);
      const nodes = nodesOf(page, depth > 1);
      if (depth > 1) {
        for (let i = 0; i < nodes.length; i++) {
          const low = i === 0 ? from : nodes[i]!.key;
          const high = nodes[i + 1]?.key ?? to;
          visit(nodes[i]!.child, depth - 1, low, high);
        }
        return;
      }
      for (const node of nodes) {
        if (!integers) {
          const outside =
            (before !== undefined && before.compare(node.key) >= 0) ||
            (from !== undefined && from.compare(node.key) > 0) ||
            (to !== undefined && to.compare(node.key) <= 0);
          if (outside) throw new Damage(`a key of ${name} is out of order`);
          before = Buffer.from(node.key);
        }
        entries++;
        if ((node.flags & BIG_DATA) !== 0) this.#reachOverflow(page, node);
        leaf?.(node, page);
      }
    };
    visit(Number(tree.root), tree.depth, undefined, undefined);
    if (entries !== tree.entries)
      throw new Damage(`the tree ${name} has ${entries} of ${tree.entries} entries`);
  }

  #page(at: number, kind: number): Buffer {
    this.#reach(at);
    const page = this.#read(at, 1);
    if (page.readBigUInt64LE(0) !== BigInt(at)) throw new Damage(`page ${at} says that it is another`);
    if (page.readBigUInt64LE(8) > BigInt(this.#file.transaction))
      throw new Damage(`page ${at} is younger than the file`);
    if ((page.readUInt16LE(18) & 0xff) !== kind) throw new Damage(`page ${at} is of a wrong kind`);
    return page;
  }

  #reachOverflow(page: Buffer, node: Node): void {
    if (node.dataAt + 8 > this.#file.pageSize) throw new Damage('a node leads outside its page');
    const at = Number(page.readBigUInt64LE(node.dataAt));
    const count = this.#overflowPages(at, node.dataBytes);
    for (let i = 0; i < count; i++) this.#reach(at + i);
  }

  #overflowPages(at: number, bytes: number): number {
    if (at < 2 || at > this.#file.lastPage) throw new Damage(`page ${at} is outside the file`);
    const header = this.#read(at, 1);
    if (header.readBigUInt64LE(0) !== BigInt(at) || (header.readUInt16LE(18) & 0xff) !== OVERFLOW)
      throw new Damage(`page ${at} is of a wrong kind`);
    const count = header.readUInt32LE(20);
    // A value that became shorter keeps the pages that it had.
    if (count < Math.ceil((PAGE_HEADER + bytes) / this.#file.pageSize))
      throw new Damage(`page ${at} has a wrong length`);
    if (at + count - 1 > this.#file.lastPage) throw new Damage(`page ${at} leads outside the file`);
    return count;
  }

  #overflowBytes(at: number, bytes: number): Buffer {
    return this.#read(at, this.#overflowPages(at, bytes)).subarray(PAGE_HEADER, PAGE_HEADER + bytes);
  }

  #read(at: number, pages: number): Buffer {
    const { handle, pageSize } = this.#file;
    const bytes = Buffer.allocUnsafe(pages * pageSize);
    const read = readSync(handle, bytes, 0, bytes.byteLength, at * pageSize);
    if (read < bytes.byteLength) throw new Damage(`page ${at} is cut off`);
    return bytes;
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

/** The nodes of a page; their keys and data lie within it. */
function nodesOf(page: Buffer, branch: boolean): Node[] {
  const lower = page.readUInt16LE(20);
  const upper = page.readUInt16LE(22);
  const room = page.byteLength - PAGE_HEADER;
  if (lower > upper || upper > room || lower % 2 !== 0) throw new Damage('a page has wrong bounds');
  if (branch && lower < 4) throw new Damage('a branch has no children');
  const nodes: Node[] = [];
  for (let i = 0; i < lower >> 1; i++) {
    const offset = page.readUInt16LE(PAGE_HEADER + 2 * i);
    const at = PAGE_HEADER + offset;
    if (offset < upper || at + NODE_HEADER > page.byteLength)
      throw new Damage('a node lies outside its page');
    const low = page.readUInt32LE(at);
    const flags = page.readUInt16LE(at + 4);
    const keyBytes = page.readUInt16LE(at + 6);
    const dataAt = at + NODE_HEADER + keyBytes;
    if (dataAt > page.byteLength) throw new Damage('a key leads outside its page');
    const inPage = branch ? 0 : (flags & BIG_DATA) !== 0 ? 8 : low;
    if (dataAt + inPage > page.byteLength) throw new Damage('a value leads outside its page');
    nodes.push({
      key: page.subarray(at + NODE_HEADER, dataAt),
      flags: branch ? 0 : flags,
      dataAt,
      dataBytes: low,
      child: branch ? low + flags * 2 ** 32 : 0,
    });
  }
  return nodes;
}
