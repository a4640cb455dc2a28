"""python3 check.py: reads the vectors of test/interop as another implementation would, and recomputes what they say.

Written from packages/protocol/SPEC.md and src/wire/GRAMMAR.md alone, with the standard library alone. Where it cannot be written
from them, they are wrong. Prints a line a file; exits non-zero when anything differs.
"""

import base64
import json
import sys
from pathlib import Path

import ed25519
from backups import read_file
from compressed import decompress
from sets import Room, check_entry, make_cut, root_of, sha256, u32, verify_proof
from values import Invalid, check_value
from wire import Memory, Reader, Refused, read_certificate, read_delta, read_floor, read_head, read_message, u64, var_string, var_uint

HERE = Path(__file__).resolve().parent.parent
failures = []


def load(name):
    return json.loads((HERE / name).read_text())


def expect(what, actual, expected):
    if actual != expected:
        failures.append(f"{what}: {actual!r} instead of {expected!r}"[:400])


VECTORS = {path.stem: load(f"vectors/{path.name}") for path in sorted((HERE / "vectors").glob("*.json"))}
LIMITS = VECTORS["limits"]["limits"]
h = bytes.fromhex


def code_of(work):
    try:
        work()
    except Refused as refused:
        return refused.code
    except Invalid:
        return "VALUE_INVALID"
    return None


def key_name(entry):
    return bytes([0 if entry["kind"] == "document" else 1]) + var_string(entry["collection"]) + var_string(entry["id"])


def replica_id(room_id, public_key):
    return sha256(b"mangrove:replica:1" + room_id + public_key)[:8].hex()


def check_ids(ids):
    for room in ids["rooms"]:
        config = (1 if room["history"] == "full" else 0) | (2 if room["encrypted"] else 0)
        expect("ID1", sha256(b"mangrove:room:1" + var_string(room["name"]) + bytes([config])).hex(), room["roomId"])
    for entry in ids["replicas"]:
        expect("ID2", replica_id(h(entry["roomId"]), h(entry["publicKey"])), entry["replica"])
    for entry in ids["keys"]:
        expect("ID3", sha256(b"mangrove:key:1" + h(entry["roomId"]) + key_name(entry))[:16].hex(), entry["keyId"])
    for entry in ids["clients"]:
        digest = sha256(b"mangrove:client:1" + h(entry["roomId"]) + h(entry["replica"]) + u32(entry["nonce"]))
        expect("ID5", int.from_bytes(digest[:4], "big"), entry["clientId"])


def check_clock(clock):
    for tick in clock["ticks"]:
        expect("HLC2", max(tick["nowMs"] * 1024, tick["last"] + 1), tick["hlc"])
    for entry in clock["receives"]:
        is_ahead = entry["stamp"] // 1024 - entry["nowMs"] > entry["aheadMsMax"]
        expect("HLC3", entry["last"] if is_ahead else max(entry["last"], entry["stamp"]), entry["clock"])


def check_values(values):
    for value in values["valid"]:
        expect(f"DL9 {value['name']}", code_of(lambda: check_value(h(value["bytes"]))), None)
    for value in values["invalid"]:
        expect(f"DL9 {value['name']}", code_of(lambda: check_value(h(value["bytes"]))), value["code"])


def delta_of(data, room_id):
    """A delta with its id [DL2] and its place in the trie [MK1]."""
    delta = read_delta(data, room_id, LIMITS)
    body = delta["body"]
    parts = [body[at : at + 65536] for at in range(0, len(body), 65536)] or [b""]
    hashes = b"".join(sha256(part) for part in parts)
    delta["id"] = sha256(b"mangrove:delta:1" + room_id + delta["header"] + var_uint(len(body)) + hashes)
    delta["trieKey"] = h(delta["keyId"]) + h(delta["replica"]) + u64(delta["hlc"]) + delta["id"]
    return delta


def check_deltas(deltas):
    for entry in deltas["valid"]:
        room_id, public_key = h(entry["roomId"]), h(entry["publicKey"])
        delta = delta_of(h(entry["bytes"]), room_id)
        for field in ("flags", "replica", "seq", "keyId", "hlc", "writtenAt", "prev", "nonces", "stamps"):
            expect(f"{entry['name']} {field}", delta[field], entry[field])
        expect(f"{entry['name']} dots", [list(dot) for dot in delta["dots"]], entry["dots"])
        expect(f"{entry['name']} id", delta["id"].hex(), entry["id"])
        expect(f"{entry['name']} trieKey", delta["trieKey"].hex(), entry["trieKey"])
        expect(f"{entry['name']} replica", replica_id(room_id, public_key), entry["replica"])
        is_signed = ed25519.verify(public_key, b"mangrove:delta:1" + delta["id"], delta["signature"])
        expect(f"{entry['name']} signature", is_signed, True)
        name = key_name(entry["keyName"])
        plain = decompress(delta["body"], LIMITS) if delta["flags"] & 1 else delta["body"]
        expect(f"{entry['name']} body", (len(delta["body"]), plain[: len(name)]), (entry["bodyBytes"], name))
        expect(f"{entry['name']} key", sha256(b"mangrove:key:1" + room_id + name)[:16].hex(), entry["keyId"])
    for entry in deltas["invalid"]:
        expect(entry["name"], code_of(lambda: read_delta(h(entry["bytes"]), h(entry["roomId"]), LIMITS)), entry["code"])


def check_signed(signed):
    entry = signed["certificate"]
    certificate = read_certificate(Reader(h(entry["bytes"]), "FRAME_MALFORMED"))
    text = b"mangrove:certificate:1" + h(entry["roomId"]) + h(entry["publicKey"]) + var_uint(entry["issuedAtMs"])
    expect("SG3 message", text.hex(), entry["message"])
    expect("SG3 signature", ed25519.verify(certificate["issuer"], text, certificate["signature"]), True)
    hello = signed["hello"]
    text = b"mangrove:hello:1" + b"".join(h(hello[part]) for part in ("roomId", "relayKey", "storeId", "challenge"))
    expect("SY1 message", text.hex(), hello["message"])
    expect("SY1 proof", ed25519.verify(h(hello["publicKey"]), text, h(hello["proof"])), True)
    for entry in signed["heads"]:
        head = read_head(Reader(h(entry["bytes"]), "FRAME_MALFORMED"), LIMITS)
        expect("SY11 vector", head["vector"], entry["vector"])
        keys = [h(replica) + u64(seq) for replica, seq in entry["vector"].items()]
        expect("MK5", root_of(keys).hex(), head["headsRoot"].hex())
        text = b"mangrove:head:1" + h(entry["roomId"]) + h(entry["bytes"])[:-64]
        expect("SY11 message", text.hex(), entry["message"])
        expect("SY11 signature", ed25519.verify(h(entry["publicKey"]), text, head["signature"]), True)


def keys_up_to(count):
    return [sha256(u32(i // 3)) + sha256(u32(i + 2**31)) for i in range(count)]


def check_tries(tries):
    for entry in tries["roots"]:
        expect(f"MK2 {entry['count']} keys", root_of(keys_up_to(entry["count"])).hex(), entry["root"])
    for entry in tries["removed"]:
        kept = [key for i, key in enumerate(keys_up_to(entry["count"])) if i % entry["removedEvery"]]
        expect(f"MK3 {entry['count']} keys, some removed", root_of(kept).hex(), entry["root"])
    for entry in tries["cuts"]:
        expect("MK7 cut", make_cut(h(entry["salt"]))(h(entry["hash"])), entry["cut"])
    for entry in tries["diffs"]:
        whole = keys_up_to(entry["count"])
        less = [key for i, key in enumerate(whole) if i % entry["lacksEvery"]]
        for what, keys in (("opening", whole), ("answer", less)):
            _, diff = read_message(h(entry[what]), "replica", LIMITS)
            expect(f"SY4 {what} root", diff["root"].hex(), root_of(keys).hex())
            for one in diff["entries"]:
                expect(f"SY4 {what} of {entry['count']}: {one}", check_entry(keys, one, make_cut(diff["salt"])), True)


def check_proofs(proofs):
    for entry in proofs:
        root, prefix, proof = h(entry["root"]), h(entry["prefix"]), h(entry["proof"])
        expect("MK6", [key.hex() for key in verify_proof(root, prefix, proof) or []], entry["items"])
        for at in range(0, len(proof), 7):
            bad = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
            try:
                expect(f"MK6 byte {at} changed", verify_proof(root, prefix, bad), None)
            except Refused:
                pass


def check_acceptance(sequences):
    for sequence in sequences:
        room = Room()
        for i, step in enumerate(sequence["steps"]):
            what = f"{sequence['name']}, step {i + 1}"
            expect(f"{what} outcome", room.accept(delta_of(h(step["delta"]), h(sequence["roomId"]))), step["outcome"])
            expect(f"{what} root", room.root().hex(), step["root"])
            expect(f"{what} position", (room.offset, room.roll.hex()), (step["offset"], step["roll"]))
            expect(f"{what} vector", room.vector(), step["vector"])


def check_checkpoints(vector):
    """[CP1, CX4]"""
    room_id = h(vector["roomId"])
    merged = [delta_of(h(data), room_id) for data in vector["merged"]]
    places = sorted(delta["trieKey"][16:] for delta in merged)
    coverage = sha256(b"mangrove:checkpoint:1" + room_id + h(vector["keyId"]) + b"".join(places))
    expect("CP1 coverage", coverage.hex(), vector["coverage"])
    checkpoint = delta_of(h(vector["checkpoint"]), room_id)
    name = key_name({"kind": "document", "collection": "", "id": "notes"})
    expect("CP1 body", checkpoint["body"].hex(), (name + coverage + h(vector["update"])).hex())
    expect("CP1 flags, nonces", (checkpoint["flags"], checkpoint["nonces"]), (16, []))
    stamps, dots = {}, []
    for delta in sorted(merged, key=lambda delta: delta["hlc"]):
        replica, hlc = delta["replica"], delta["hlc"]
        if delta["prev"] <= stamps.get(replica, 0):
            stamps[replica] = hlc
        else:
            dots.append((replica, hlc))
    expect("CX4 stamps", dict(checkpoint["stamps"]), stamps)
    expect("CX4 dots", [tuple(dot) for dot in checkpoint["dots"]], dots)


def check_backups(files):
    """[BK1, BK2, BK3, BK4]"""
    for i, entry in enumerate(files["valid"]):
        said = read_file(h(entry["bytes"]), LIMITS, delta_of)
        for part in ("frames", "trieKeys", "marks"):
            expect(f"BK3 backup {i} {part}", said[part], entry[part])
    for entry in files["invalid"]:
        expect(f"BK1 {entry['name']}", code_of(lambda: read_file(h(entry["bytes"]), LIMITS, delta_of)), entry["code"])


def check_compressed(bodies):
    for body in bodies["valid"]:
        expect(f"DL11 {body['name']}", decompress(h(body["bytes"]), LIMITS).hex(), body["plain"])
    for body in bodies["invalid"]:
        expect(f"DL11 {body['name']}", code_of(lambda: decompress(h(body["bytes"]), LIMITS)), body["code"])


def check_told(told):
    """[SY21]"""
    for side, messages in told.items():
        memory = Memory()
        for i, said in enumerate(messages):
            number, fields = read_message(h(said["bytes"]), side, LIMITS, memory)
            what = f"SY21 message {i + 1} of the {side}"
            if number == 6:
                expect(f"{what} repair", fields[0], said["repair"])
                expect(f"{what} deltas", [data.hex() for data in fields[1]], said["deltas"])
            elif number == 14:
                whole = read_head(Reader(h(said["statement"]), "FRAME_MALFORMED"), LIMITS)
                expect(f"{what} statement", fields, whole)
            elif number == 23:
                wholes = [read_head(Reader(h(whole), "FRAME_MALFORMED"), LIMITS) for whole in said["statements"]]
                expect(f"{what} statements", fields, wholes)
            else:
                expect(f"{what} numbers", fields[0], said["seqs"])
        first = h(messages[1]["bytes"])
        expect(f"SY21 {side} unheard", code_of(lambda: read_message(first, side, LIMITS)), "BASE_UNKNOWN")


def check_floors(vector):
    """[FL1, FL2, FL3]"""
    room_id = h(vector["roomId"])
    floor = delta_of(h(vector["floor"]), room_id)
    expect("FL1 key, flags", (floor["keyId"], floor["flags"]), (vector["keyId"], 64))
    said = read_floor(floor["body"], floor["hlc"], LIMITS)
    for entry in vector["deltas"]:
        delta = delta_of(h(entry["bytes"]), room_id)
        _, reached = said["reach"].get(delta["replica"], (0, 0))
        is_under = delta["hlc"] <= reached and delta["id"][:8] not in said["standing"]
        expect(f"FL3 {delta['replica']} {delta['seq']}", is_under, entry["isUnder"])
    for entry in vector["invalid"]:
        expect(f"FL2 {entry['name']}", code_of(lambda: read_floor(h(entry["bytes"]), entry["hlc"], LIMITS)), entry["code"])


def check_versions(versions):
    """[VS1, VS2]"""
    for entry in versions:
        what, key_id, state = f"VS2 {entry['name']}", entry["keyId"], h(entry["state"])
        row = json.loads(h(entry["row"]["payload"])[1:])
        prefix, version = entry["row"]["id"].split("/")
        expect(f"{what} id", (entry["row"]["collection"], prefix, len(version)), ("mangrove/versions", key_id, 20))
        expect(f"{what} fields", sorted(row), ["at", "bytes", "hash", "kind", "name", "parts"])
        stored = b""
        for n, part in enumerate(entry["parts"]):
            expect(f"{what} part {n}", part["id"], f"{key_id}/{version}/{n:04x}")
            data = base64.b64decode(json.loads(h(part["payload"])[1:])["$bytes"])
            is_whole = len(data) == 45_000 or n == len(entry["parts"]) - 1
            expect(f"{what} length of part {n}", (part["collection"], is_whole), ("mangrove/version-parts", True))
            stored += data
        expect(what, stored[1:] if stored[0] == 0 else decompress(stored[1:], LIMITS), state)
        expect(f"{what} counts", (row["bytes"], row["parts"]), (len(state), len(entry["parts"])))
        hashed = sha256(b"mangrove:version:1" + h(key_id) + state)
        expect(f"{what} hash", base64.b64decode(row["hash"]["$bytes"]), hashed)


def check_malformed(cases):
    for case in cases:
        said_by = "replica" if case["reader"] == "relay" else "relay"
        expect(case["name"], code_of(lambda: read_message(h(case["bytes"]), said_by, LIMITS)), case["code"])


def check_golden():
    files = sorted((HERE / "golden").glob("*.json"))
    numbers = set()
    for path in files:
        for name, data in load(f"golden/{path.name}").items():
            codes = [code_of(lambda side=side: read_message(h(data), side, LIMITS)) for side in ("relay", "replica")]
            expect(f"{path.stem} {name} is read", None in codes, True)
            numbers.add(h(data)[0])
    expect("messages", sorted(numbers), list(range(1, len(files) + 1)))


def check_ed25519():
    for vector in load("ed25519.json"):
        public_key, message, signature = (h(vector[part]) for part in ("publicKey", "message", "signature"))
        expect(f"SG1 {vector['name']}", ed25519.verify(public_key, message, signature), vector["isValid"])


CHECKS = {
    "limits": lambda _: None,
    "ids": check_ids,
    "clock": check_clock,
    "values": check_values,
    "deltas": check_deltas,
    "signed": check_signed,
    "tries": check_tries,
    "proofs": check_proofs,
    "acceptance": check_acceptance,
    "backups": check_backups,
    "checkpoints": check_checkpoints,
    "compressed": check_compressed,
    "floors": check_floors,
    "malformed": check_malformed,
    "told": check_told,
    "versions": check_versions,
}

expect("files of vectors", sorted(VECTORS), sorted(CHECKS))
runs = {name: lambda name=name: CHECKS[name](VECTORS[name]) for name in CHECKS if name in VECTORS}
for name, run in {**runs, "golden": check_golden, "ed25519": check_ed25519}.items():
    before = len(failures)
    run()
    print(f"{'ok  ' if len(failures) == before else 'FAIL'}  {name}")
print("\n".join(failures))
sys.exit(1 if failures else 0)
