"""The Merkle trie [MK1, MK2], its cuts [MK7], proofs [MK6], and the set of a room [CX1, CX2]."""

import hashlib

from wire import Reader, read_nibbles, u32

LEAF_MAX = 32


def sha256(data):
    return hashlib.sha256(data).digest()


def pack(nibbles):
    return bytes.fromhex(nibbles + "0" * (len(nibbles) % 2))


def inner_hash(count, prefix, child_map, hashes):
    return sha256(b"\x01" + u32(count) + bytes([len(prefix)]) + pack(prefix) + child_map.to_bytes(2, "big") + b"".join(hashes))


def leaf_hash(keys):
    return sha256(b"\x00" + u32(len(keys)) + b"".join(keys))


def node_of(keys):
    """('leaf', keys) or ('inner', prefix, {nibble: keys}) of sorted keys."""
    if len(keys) <= LEAF_MAX:
        return ("leaf", keys)
    first, last = keys[0].hex(), keys[-1].hex()
    shared = next(i for i in range(len(first)) if first[i] != last[i])
    children = {}
    for key in keys:
        children.setdefault(int(key.hex()[shared], 16), []).append(key)
    return ("inner", first[:shared], children)


def root_of(keys):
    keys = sorted(keys)
    node = node_of(keys)
    if node[0] == "leaf":
        return leaf_hash(keys)
    _, prefix, children = node
    child_map = sum(1 << nibble for nibble in children)
    return inner_hash(len(keys), prefix, child_map, [root_of(children[nibble]) for nibble in sorted(children)])


def make_cut(salt):
    stream = b"".join(sha256(b"mangrove:cut:1" + salt + bytes([i])) for i in (0, 1))
    factors = [int.from_bytes(stream[4 * i : 4 * i + 4], "big") for i in range(16)]
    return lambda full: sum(k * int.from_bytes(full[2 * i : 2 * i + 2], "big") for i, k in enumerate(factors)) % (2**32 - 5)


def check_entry(keys, entry, cut):
    """Whether an entry of a diff says what a store of these keys holds under its slot."""
    under = sorted(key for key in keys if key.hex().startswith(entry["slot"]))
    node, kind = node_of(under), entry["kind"]
    if kind == 0:
        if node[0] != "inner":
            return False
        cuts = [cut(root_of(node[2][nibble])) for nibble in sorted(node[2])]
        return (entry["prefix"], entry["map"], entry["cuts"]) == (node[1], sum(1 << n for n in node[2]), cuts)
    cuts = [cut(key[-32:]) for key in under]
    if kind == 1:
        return node[0] == "leaf" and entry["cuts"] == cuts
    if kind == 4:
        total = 0
        for one in cuts:
            total ^= one
        return node[0] == "leaf" and (entry["count"], entry["sum"]) == (len(cuts), total)
    return kind in (2, 3)


def read_inner(r, omitted):
    count, prefix, child_map = r.u32(), read_nibbles(r), r.u16()
    hashes = bin(child_map).count("1") - omitted
    if hashes < 0:
        r.refuse()
    return count, prefix, child_map, [r.fixed(32) for _ in range(hashes)]


def verify_proof(root, prefix, data):
    """All keys of the set of `root` that begin with `prefix`, or None for a proof that does not show it."""
    r = Reader(data, "FRAME_MALFORMED")
    steps = [read_inner(r, 1) for _ in range(r.count(len(data)))]
    asked, slot = prefix.hex(), ""
    for count, at, child_map, hashes in steps:
        if not at.startswith(slot) or not asked.startswith(at) or len(at) >= len(asked) or not hashes:
            return None
        nibble = int(asked[len(at)], 16)
        if not child_map >> nibble & 1:
            return None
        slot = at + asked[len(at)]
    keys = []
    if r.u8() == 0:
        number = r.var_uint()
        length = r.u8() if number else 0
        keys = [r.fixed(length) for _ in range(number)]
        if keys != sorted(set(keys)) or not all(key.hex().startswith(slot) for key in keys):
            return None
        if number > LEAF_MAX and not all(key.startswith(prefix) for key in keys):
            return None
        digest, below = root_of(keys), number
    else:
        below, at, child_map, hashes = read_inner(r, 0)
        goes_on = asked.startswith(at) and len(at) < len(asked) and child_map >> int(asked[len(at)], 16) & 1
        if not at.startswith(slot) or len(hashes) < 2 or below <= LEAF_MAX or at.startswith(asked) or goes_on:
            return None
        digest = inner_hash(below, at, child_map, hashes)
    r.end()
    if steps and below == 0:
        return None
    for count, at, child_map, hashes in reversed(steps):
        if count <= LEAF_MAX or count < below + len(hashes):
            return None
        index = bin(child_map & ((1 << int(asked[len(at)], 16)) - 1)).count("1")
        digest = inner_hash(count, at, child_map, hashes[:index] + [digest] + hashes[index:])
        below = count
    return [key for key in keys if key.startswith(prefix)] if digest == root else None


def covers(delta, other):
    """[CX1]"""
    if delta["keyId"] != other["keyId"]:
        return False
    return delta["stamps"].get(other["replica"], 0) >= other["hlc"] or (other["replica"], other["hlc"]) in delta["dots"]


class Room:
    """[CX2, CX7, SY2, SY3] The set, what was ever met of it, and a relay's log."""

    def __init__(self):
        self.held, self.met, self.offset, self.roll = {}, {}, 0, bytes(8)

    def accept(self, delta):
        if delta["id"] in self.met:
            return "known"
        forked = any((d["replica"], d["seq"]) == (delta["replica"], delta["seq"]) for d in self.held.values())
        self.met[delta["id"]] = (delta["replica"], delta["seq"])
        self.offset += 1
        self.roll = sha256(self.roll + delta["id"])[:8]
        if any(covers(held, delta) for held in self.held.values()):
            return "superseded"
        self.held = {i: held for i, held in self.held.items() if not covers(delta, held)}
        self.held[delta["id"]] = delta
        return "forked" if forked else "added"

    def root(self):
        return root_of([delta["trieKey"] for delta in self.held.values()])

    def vector(self):
        dots, vector = set(self.met.values()), {}
        for replica, _ in dots:
            seq = 0
            while (replica, seq + 1) in dots:
                seq += 1
            if seq:
                vector[replica] = seq
        return vector
