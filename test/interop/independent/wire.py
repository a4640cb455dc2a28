"""Messages and deltas, read as SPEC.md and GRAMMAR.md say. Standard library only; shares nothing with the packages."""

import hashlib
import json
import struct


class Refused(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Reader:
    def __init__(self, data, code):
        self.data, self.at, self.code = data, 0, code

    def refuse(self, code=None):
        raise Refused(code or self.code)

    def fixed(self, count):
        if count > len(self.data) - self.at:
            self.refuse()
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self):
        return self.fixed(1)[0]

    def u16(self):
        return struct.unpack(">H", self.fixed(2))[0]

    def u32(self):
        return struct.unpack(">I", self.fixed(4))[0]

    def u64(self):
        value = struct.unpack(">Q", self.fixed(8))[0]
        return value if value < 2**53 else self.refuse()

    def var_uint(self):
        value, shift = 0, 0
        while True:
            byte = self.u8()
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        if value >= 2**53 or (shift > 0 and byte == 0):
            self.refuse()
        return value

    def count(self, most):
        value = self.var_uint()
        return value if value <= most and value <= len(self.data) - self.at else self.refuse()

    def var_bytes(self, most):
        return self.fixed(self.count(most))

    def text(self, most):
        try:
            return self.var_bytes(most).decode("utf-8")
        except UnicodeDecodeError:
            self.refuse()

    def flag(self):
        value = self.u8()
        return value == 1 if value < 2 else self.refuse()

    def optional(self, read):
        return read() if self.flag() else None

    def end(self):
        if self.at != len(self.data):
            self.refuse()


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


def var_uint(value):
    out = bytearray()
    while value > 127:
        out.append((value & 127) | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def var_string(text):
    data = text.encode("utf-8")
    return var_uint(len(data)) + data


def read_vector(r, limits):
    entries, last = {}, b""
    for _ in range(r.count(limits["replicasPerKeyMax"])):
        replica = r.fixed(8)
        if entries and replica <= last:
            r.refuse()
        last = replica
        entries[replica.hex()] = r.var_uint()
    return entries


def read_certificate(r):
    return {"publicKey": r.fixed(32), "issuedAtMs": r.var_uint(), "issuer": r.fixed(32), "signature": r.fixed(64)}


def read_position(r):
    return {"offset": r.var_uint(), "roll": r.fixed(8), "root": r.fixed(32)}


class Memory:
    """What was told in one direction of one connection [SY21]."""

    def __init__(self):
        self.deltas, self.heads, self.last_slot, self.last_seq = {}, {}, 0, 0
        self.last_head = None

    def keep_delta(self, data):
        parts = take_apart(data)
        if parts:
            self.last_slot = (parts["front"][-1] + parts["keyId"][-1]) % 32
            self.deltas[self.last_slot] = parts

    def keep_head(self, head):
        self.last_head = head if len(head["vector"]) <= 256 else None
        self.heads[head["replica"][-1] % 32] = self.last_head


def read_counted(r, of, limits):
    both = r.var_uint()
    if both // of > min(limits["deltasPerMessageMax"], (len(r.data) - r.at) // 2):
        r.refuse()
    return both // of, both % of


def read_ack(r, limits, memory):
    count, bits = read_counted(r, 4, limits)
    if bits & 2 and not (count and memory.last_seq):
        r.refuse("BASE_UNKNOWN")
    seqs = read_seqs(r, limits, count, memory.last_seq if bits & 2 else 0)
    memory.last_seq = seqs[-1] if seqs else memory.last_seq
    return (seqs, read_position(r) if bits & 1 else None)


def read_seqs(r, limits, count, before):
    seqs = []
    for _ in range(count):
        gap, more = r.var_uint(), r.var_uint()
        first = (seqs[-1] if seqs else before) + gap
        if gap < (2 if seqs else 1) or len(seqs) + more >= limits["deltasPerMessageMax"] or first + more >= 2**53:
            r.refuse()
        seqs.extend(range(first, first + more + 1))
    return seqs


def take_apart(data):
    """The fields of a small delta without a context, or None."""
    r = Reader(data, "NONE")
    try:
        if len(data) > 512 or data[:1] != b"\x01":
            return None
        parts = {"front": r.fixed(14), "seq": r.var_uint(), "keyId": r.fixed(16), "hlc": r.u64()}
        r.var_uint(), r.var_uint()
        if r.u8() or r.u8():
            return None
        start = r.at
        r.fixed(4 * r.var_uint())
        parts["nonces"] = data[start : r.at]
        parts["body"] = r.fixed(r.var_uint())
        r.fixed(64)
        r.end()
        return parts
    except Refused:
        return None


def read_told_body(r, base, is_same_length):
    shared = r.var_uint()
    if shared > len(base):
        r.refuse()
    if not is_same_length:
        return base[:shared] + r.var_bytes(512)
    body = bytearray(base)
    changed = r.fixed((len(base) - shared + 7) // 8)
    for i in range(8 * len(changed)):
        if changed[i // 8] >> (i % 8) & 1:
            byte = r.u8()
            if shared + i >= len(base) or byte == base[shared + i]:
                r.refuse()
            body[shared + i] = byte
    return bytes(body)


def read_told(r, limits, memory):
    bits = r.u8()
    if bits == 0:
        data = r.var_bytes(limits["frameBytesMax"])
    elif bits & 1 and bits < 64:
        slot = memory.last_slot if bits & 2 else r.u8()
        base = memory.deltas.get(slot) or r.refuse("BASE_UNKNOWN")
        seq = base["seq"] + (1 if bits & 4 else r.var_uint())
        hlc = (base["hlc"] // 1024 + r.var_uint()) * 1024
        hlc += 0 if bits & 8 else r.var_uint()
        age = r.var_uint() * (1024 if bits & 16 else 1)
        body = read_told_body(r, base["body"], bits & 32)
        data = base["front"] + var_uint(seq) + base["keyId"] + u64(hlc) + var_uint(age) + var_uint(hlc - base["hlc"])
        data += b"\0\0" + base["nonces"] + var_uint(len(body)) + body + r.fixed(64)
    else:
        r.refuse()
    memory.keep_delta(data)
    return data


def read_push(r, limits, memory):
    count, repair = read_counted(r, 2, limits)
    return (repair == 1, [read_told(r, limits, memory) for _ in range(count)])


def read_deltas(r, limits, memory):
    count, place = read_counted(r, 4, limits)
    at = [
        lambda: None,
        lambda: read_position(r),
        lambda: {"offset": r.var_uint(), "roll": r.fixed(8)},
        lambda: "later",
    ][place]()
    return (at, [read_told(r, limits, memory) for _ in range(count)])


def read_told_head(r, limits, memory):
    return read_told_as(r.u8(), r, limits, memory)


def read_told_as(first, r, limits, memory):
    if first > 32:
        r.refuse()
    if first == 0:
        head = read_head(r, limits)
    else:
        base = memory.heads.get(first - 1) or r.refuse("BASE_UNKNOWN")
        head = {"replica": base["replica"], "timeMs": base["timeMs"] + r.var_uint()}
        head["root"], head["headsRoot"] = r.fixed(32), r.fixed(32)
        entries, last = list(base["vector"].items()), -1
        for _ in range(r.count(256)):
            index, more = r.var_uint(), r.var_uint()
            if index >= len(entries) or index <= last or more == 0:
                r.refuse()
            last = index
            entries[index] = (entries[index][0], entries[index][1] + more)
        head = {**head, "vector": dict(entries), "signature": r.fixed(64)}
    memory.keep_head(head)
    return head


def read_heads(r, limits, memory):
    heads, base = [], memory.last_head
    for _ in range(r.count(256)):
        first = r.u8()
        if first == 33:
            base = read_beside(r, limits, base or r.refuse("BASE_UNKNOWN"))
            memory.keep_head(base)
        else:
            base = read_told_as(first, r, limits, memory)
        heads.append(base)
    return heads


def read_beside(r, limits, base):
    head = {"replica": r.fixed(8)}
    bits = r.u8()
    if bits not in (0, 1, 2, 3, 4, 5):
        r.refuse()
    head["timeMs"] = base["timeMs"] + r.var_uint()
    head["root"] = base["root"] if bits & 1 else r.fixed(32)
    if bits & 2:
        head["headsRoot"], head["vector"] = base["headsRoot"], base["vector"]
    else:
        head["headsRoot"] = r.fixed(32)
        head["vector"] = read_changed(r, base["vector"]) if bits & 4 else read_vector(r, limits)
    return {**head, "signature": r.fixed(64)}


def read_changed(r, vector):
    if len(vector) > 256:
        r.refuse()
    entries, last = list(vector.items()), -1
    for _ in range(r.count(256)):
        index, twice = r.var_uint(), r.var_uint()
        if index >= len(entries) or index <= last or twice == 0:
            r.refuse()
        last = index
        seq = entries[index][1] + (-(twice + 1) // 2 if twice % 2 else twice // 2)
        if not 0 <= seq < 2**53:
            r.refuse()
        entries[index] = (entries[index][0], seq)
    return dict(entries)


def read_failure(r):
    code = r.var_uint()
    try:
        facts = json.loads(r.var_bytes(4096).decode("utf-8"))
    except ValueError:
        r.refuse()
    return {"code": code, "facts": facts} if isinstance(facts, dict) else r.refuse()


def read_nibbles(r):
    count = r.u8()
    digits = r.fixed((count + 1) // 2).hex()
    if count % 2 and digits[-1] != "0":
        r.refuse()
    return digits[:count]


def read_diff(r, limits):
    diff = {"salt": r.fixed(8), "root": r.fixed(32), "entries": []}
    last = ""
    for _ in range(r.count(limits["diffEntriesMax"])):
        first = r.u8()
        kind, shared = first & 7, first >> 3
        if shared == 31:
            shared += r.var_uint()
        if shared > len(last):
            r.refuse()
        more = read_nibbles(r)
        slot = last[:shared] + more
        if len(slot) > 255 or (more and shared < len(last) and last[shared] == more[0]):
            r.refuse()
        entry = {"kind": kind, "slot": slot}
        if kind == 0:
            entry["prefix"] = slot + read_nibbles(r)
            entry["map"] = r.u16()
            entry["cuts"] = [r.u32() for _ in range(bin(entry["map"]).count("1"))]
        elif kind in (1, 3):
            entry["cuts"] = [r.u32() for _ in range(r.count(32))]
        elif kind == 4:
            entry["count"], entry["sum"] = r.u8(), r.u32()
        elif kind != 2:
            r.refuse()
        diff["entries"].append(entry)
        last = slot
    return diff


def read_head(r, limits):
    head = {"replica": r.fixed(8), "timeMs": r.var_uint(), "root": r.fixed(32), "headsRoot": r.fixed(32)}
    return {**head, "vector": read_vector(r, limits), "signature": r.fixed(64)}


def read_rights(r):
    bits = r.u8()
    return bits if bits < 8 else r.refuse()


def read_wanted(r, limits):
    wanted = (r.fixed(64), r.var_uint(), r.var_uint())
    return wanted if wanted[2] <= limits["wantedPartsMax"] else r.refuse()


# number: (who may say it, reader)
MESSAGES = {
    1: ("relay", lambda r, l: (r.var_uint(), r.fixed(8), r.fixed(32), r.fixed(32))),
    2: (
        "replica",
        lambda r, l: (
            *(r.var_uint(), r.fixed(32), r.u8(), r.fixed(32), r.optional(lambda: r.text(16384))),
            *(r.optional(lambda: (r.fixed(8), r.var_uint(), r.fixed(8))), r.var_uint(), r.fixed(64)),
        ),
    ),
    3: (
        "relay",
        lambda r, l: (
            *(read_rights(r), r.optional(lambda: read_certificate(r)), r.flag()),
            *(r.var_uint(), r.optional(lambda: r.fixed(8)), r.var_uint()),
        ),
    ),
    4: ("relay", lambda r, l: read_failure(r)),
    5: ("both", lambda r, l: [read_certificate(r) for _ in range(r.count(l["replicasPerKeyMax"]))]),
    6: ("replica", read_push),
    7: ("relay", read_deltas),
    8: ("relay", lambda r, l: (read_position(r), read_vector(r, l))),
    9: ("relay", read_ack),
    10: ("relay", lambda r, l: (r.fixed(8), r.var_uint(), read_failure(r))),
    11: ("replica", read_vector),
    12: ("relay", read_vector),
    13: ("both", read_diff),
    14: ("replica", read_told_head),
    15: ("replica", lambda r, l: r.fixed(64)),
    16: ("both", lambda r, l: (r.fixed(8), r.var_uint(), r.fixed(16), r.var_bytes(l["awarenessBytesMax"]))),
    17: ("relay", lambda r, l: (r.fixed(8), r.flag())),
    18: ("both", lambda r, l: [read_wanted(r, l) for _ in range(r.count(l["wantedPartsMax"]))]),
    19: ("both", lambda r, l: (r.fixed(64), r.var_uint(), r.var_bytes(65536))),
    20: ("both", lambda r, l: r.var_uint()),
    21: ("relay", lambda r, l: (r.var_uint(), r.var_uint())),
    22: ("replica", lambda r, l: ()),
    23: ("relay", read_heads),
}


# What is told by what was told before.
TOLD = {6, 7, 9, 14, 23}


def read_message(data, said_by, limits, memory=None):
    """(number, fields) of a message that `said_by` may say after what `memory` holds, or Refused."""
    r = Reader(data, "FRAME_MALFORMED")
    number = r.u8()
    sender, read = MESSAGES.get(number, (None, None))
    if sender not in ("both", said_by):
        r.refuse()
    fields = read(r, limits, memory or Memory()) if number in TOLD else read(r, limits)
    r.end()
    return number, fields


def read_stamped(r, hlc, limits):
    entries = []
    for _ in range(r.count(limits["replicasPerKeyMax"])):
        entry = (r.fixed(8).hex(), hlc - r.var_uint())
        if not 0 < entry[1] < hlc or (entries and entry <= entries[-1]):
            r.refuse()
        entries.append(entry)
    return entries


def floor_key(room_id):
    """[FL1]"""
    return hashlib.sha256(b"mangrove:key:1" + room_id + b"\x02").digest()[:16]


def read_floor(data, hlc, limits):
    """[FL2]"""
    r = Reader(data, "DELTA_MALFORMED")
    if r.u8() != 2:
        r.refuse()
    reach, last = {}, b""
    for _ in range(r.count(limits["floorReplicasMax"])):
        replica, seq, reached = r.fixed(8), r.var_uint(), r.u64()
        if replica <= last or seq < 1 or not 1 <= reached < hlc:
            r.refuse()
        last = replica
        reach[replica.hex()] = (seq, reached)
    standing = [r.fixed(8) for _ in range(r.count(len(data)))]
    vectors = [read_vector(r, limits) for _ in range(r.count(limits["replicasPerKeyMax"]))]
    witnesses, named = [], 0
    for _ in range(r.count(limits["replicasPerKeyMax"])):
        witness = (r.fixed(8), r.var_uint(), r.fixed(32), r.fixed(32), r.var_uint(), r.fixed(64))
        if witnesses and witness[0] <= witnesses[-1][0] or witness[4] > named or witness[4] >= len(vectors):
            r.refuse()
        named = max(named, witness[4] + 1)
        witnesses.append(witness)
    r.end()
    is_distinct = all(a != b for i, a in enumerate(vectors) for b in vectors[:i])
    if named != len(vectors) or not is_distinct or any(a >= b for a, b in zip(standing, standing[1:])):
        r.refuse()
    return {"reach": reach, "standing": set(standing), "witnesses": witnesses}


def read_delta(data, room_id, limits):
    """[DL1, DL3, DL4, DL6, DL7]"""
    r = Reader(data, "DELTA_MALFORMED")
    if r.u8() != 1:
        r.refuse()
    if r.fixed(4) != room_id[:4]:
        r.refuse("WRONG_ROOM")
    d = {"flags": r.u8(), "replica": r.fixed(8).hex(), "seq": r.var_uint(), "keyId": r.fixed(16).hex(), "hlc": r.u64()}
    hlc = d["hlc"]
    d["writtenAt"] = hlc - r.var_uint()
    since_prev = r.var_uint()
    d["prev"] = hlc - since_prev if since_prev else 0
    stamps = read_stamped(r, hlc, limits)
    d["dots"] = read_stamped(r, hlc, limits)
    d["stamps"] = dict(stamps)
    d["nonces"] = [r.u32() for _ in range(r.count(limits["noncesPerDeltaMax"]))]
    d["header"] = data[: r.at]
    body_bytes = r.var_uint()
    if body_bytes > limits["bodyBytesMax"]:
        r.refuse("BODY_TOO_LARGE")
    d["body"] = r.fixed(body_bytes)
    d["signature"] = r.fixed(64)
    r.end()
    is_sound = (
        d["flags"] < 128
        and d["seq"] >= 1
        and hlc >= 1
        and d["writtenAt"] >= 0
        and d["prev"] >= 0
        and (d["prev"] > 0 or since_prev == 0)
        and len(d["stamps"]) == len(stamps)
        and all(hlc_of > d["stamps"].get(replica, 0) for replica, hlc_of in d["dots"])
        and all(a < b for a, b in zip(d["nonces"], d["nonces"][1:]))
        and not (d["flags"] & 32 and d["nonces"])
        and (not d["flags"] & 64 or d["flags"] == 64 and not d["nonces"] and d["keyId"] == floor_key(room_id).hex())
    )
    return d if is_sound else r.refuse()
