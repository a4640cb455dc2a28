"""Files of backups [BK1, BK2, BK3, BK4]."""

from sets import root_of, sha256
from wire import Reader, read_certificate, var_string

MAGIC = b"mangrove:backup\n"
KINDS = {1: "header", 2: "certificates", 3: "deltas", 4: "section", 5: "end"}


def read_mark(r, room_id):
    data = r.var_bytes(2**20)
    if not data:
        return None
    m = Reader(data, "BACKUP_DAMAGED")
    if m.u8() != 1 or m.fixed(32) != room_id:
        m.refuse()
    held = []
    for _ in range(m.count(4096)):
        own = {"replica": m.fixed(8).hex(), "upTo": m.var_uint(), "above": []}
        last = own["upTo"]
        for _ in range(m.count(4096)):
            first = last + 2 + m.var_uint()
            last = first + m.var_uint()
            own["above"].append({"from": first, "to": last})
        if held and held[-1]["replica"] >= own["replica"]:
            m.refuse()
        held.append(own)
    through = m.var_bytes(64)
    m.end()
    return {"held": held, "through": through.hex() or None}


def read_file(data, limits, delta_of):
    """One backup: its frames, trie keys and marks, or the code with which it is refused."""
    r = Reader(data, "BACKUP_CUT")
    if r.data[: len(MAGIC)] != MAGIC[: len(r.data)]:
        r.refuse("BACKUP_DAMAGED")
    r.fixed(len(MAGIC))
    check, said, room_id, section, kind = bytes(8), {"frames": [], "trieKeys": [], "marks": []}, None, [], None
    while kind != "end":
        number, length = r.u8(), r.u32()
        if length > limits["bodyBytesMax"] + 2**20:
            r.refuse("BACKUP_DAMAGED")
        payload = r.fixed(length)
        check = sha256(b"mangrove:backup:1" + check + bytes([number]) + payload)[:8]
        kind = KINDS.get(number)
        if r.fixed(8) != check or kind is None or (room_id is None) != (kind == "header"):
            r.refuse("BACKUP_DAMAGED")
        p = Reader(payload, "BACKUP_DAMAGED")
        said["frames"].append(kind)
        if kind == "header":
            if p.var_uint() != 1:
                p.refuse("VERSION_UNSUPPORTED")
            name, config = p.text(512), p.u8()
            room_id = sha256(b"mangrove:room:1" + var_string(name) + bytes([config]))
            p.var_uint()
            read_mark(p, room_id)
        elif kind == "certificates":
            for _ in range(p.count(4096)):
                read_certificate(p)
        elif kind == "deltas":
            while p.at < len(payload):
                key = delta_of(p.var_bytes(limits["bodyBytesMax"] + 2**20), room_id)["trieKey"]
                if section and section[-1] >= key:
                    p.refuse()
                section.append(key)
        elif kind == "section":
            if not section or p.fixed(32) != root_of(section) or p.var_uint() != len(section):
                p.refuse()
            said["trieKeys"] += [key.hex() for key in section]
            said["marks"].append(read_mark(p, room_id))
            section = []
        else:
            p.fixed(32), p.var_uint()
            if section or p.var_uint() != len(said["trieKeys"]):
                p.refuse()
            said["marks"].append(read_mark(p, room_id))
        p.end()
    r.end()
    return said
